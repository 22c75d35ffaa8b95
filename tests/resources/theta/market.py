"""The small market behind the fake terminal: Black prices, no dividends, version 3's CSV.

Deterministic in the date. About 130 contracts per root and session: five expiries, 13 strikes to
two standard deviations, both sides. SPY has one root; SPX has SPX (third Fridays) and SPXW.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from math import erf, exp, log, pi, sin, sqrt

from volsurf_resources import exchange_calendar as calendar

RATE = 0.0425
BASES = {"SPY": 600.0, "SPX": 6000.0, "VIX": 18.0, "VIX9D": 17.0, "VIX3M": 19.5, "VIX6M": 20.5}
BASES["VVIX"] = 95.0
INDICES = {"SPX", "VIX", "VIX9D", "VIX3M", "VIX6M", "VVIX"}
ROOTS = {"SPY": "SPY", "SPX": "SPX", "SPXW": "SPX"}
TIERS = ("free", "value", "standard", "pro")
FIRST_DATES = (date(2023, 6, 1), date(2020, 1, 1), date(2016, 1, 1), date(2012, 6, 1))
PAR_YIELDS = {
    **{"SOFR": 4.30, "TREASURY_M1": 4.35, "TREASURY_M3": 4.33, "TREASURY_M6": 4.25},
    **{"TREASURY_Y1": 4.10, "TREASURY_Y2": 3.95, "TREASURY_Y3": 3.90, "TREASURY_Y5": 3.95},
    **{"TREASURY_Y7": 4.05, "TREASURY_Y10": 4.20, "TREASURY_Y20": 4.55, "TREASURY_Y30": 4.45},
}

CONTRACT = "symbol,expiration,strike,right"
QUOTE = "bid_size,bid_exchange,bid,bid_condition,ask_size,ask_exchange,ask,ask_condition"
BAR = f"created,last_trade,open,high,low,close,volume,count,{QUOTE}"
GREEKS = (
    "delta,theta,vega,rho,epsilon,lambda,gamma,vanna,charm,vomma,veta,vera,speed,zomma,color,"
    "ultima,d1,d2,dual_delta,dual_gamma,implied_vol,iv_error,underlying_timestamp,underlying_price"
)
NO_DATA = (472, "No data found for your request")


@dataclass(frozen=True, kw_only=True)
class Contract:
    """One option on one session, with its Black-Scholes values."""

    root: str
    expiration: date
    strike: float
    right: str
    spot: float
    tte: float
    vol: float

    @property
    def price(self) -> float:
        d1, d2 = self._d()
        sign = 1.0 if self.right == "CALL" else -1.0
        discounted = self.strike * exp(-RATE * self.tte)
        return sign * (self.spot * _cdf(sign * d1) - discounted * _cdf(sign * d2))

    @property
    def bid_ask(self) -> tuple[float, float]:
        half = max(0.01, 0.004 * self.price)
        return max(0.0, round(self.price - half, 2)), round(self.price + half, 2)

    @property
    def open_interest(self) -> int:
        return 100 + (int(self.strike) * 7 + self.expiration.toordinal()) % 900

    def greeks(self) -> dict[str, float]:
        d1, d2 = self._d()
        sign = 1.0 if self.right == "CALL" else -1.0
        density, root = exp(-d1 * d1 / 2.0) / sqrt(2.0 * pi), sqrt(self.tte)
        carry = sign * RATE * self.strike * exp(-RATE * self.tte) * _cdf(sign * d2)
        return {
            "delta": sign * _cdf(sign * d1),
            "theta": (-self.spot * density * self.vol / (2.0 * root) - carry) / 365.0,
            "vega": self.spot * density * root,
            "rho": carry * self.tte / RATE,
            "gamma": density / (self.spot * self.vol * root),
            "implied_vol": self.vol,
        }

    def _d(self) -> tuple[float, float]:
        deviation = self.vol * sqrt(self.tte)
        d1 = log(self.spot / self.strike) / deviation + RATE * self.tte / deviation
        return d1 + deviation / 2.0, d1 - deviation / 2.0


def spot(symbol: str, day: date) -> float:
    """Close of an underlying or index; moves by about a percent."""
    n = day.toordinal()
    return round(BASES[symbol] * (1.0 + 0.02 * sin(n / 9.0) + 0.007 * sin(n * 1.7)), 2)


def implied_vol(k: float, tte: float) -> float:
    """The market's smile: skewed, flatter for longer expiries."""
    z = k / sqrt(tte)
    return 0.18 + 0.02 * sqrt(tte) - 0.04 * z + 0.02 * z * z


def expirations(root: str, day: date) -> list[date]:
    """Friday expiries alive on a session: five of SPY and SPXW, three monthly ones of SPX."""
    if root == "SPX":
        months = [(day.year + (day.month + n) // 12, (day.month + n) % 12 + 1) for n in range(3)]
        return [calendar.third_friday(*month) for month in months]
    friday = day + timedelta(days=(4 - day.weekday()) % 7)
    return [friday + timedelta(weeks=n) for n in (1, 2, 4, 8, 13)]


@lru_cache(maxsize=64)
def contracts(root: str, day: date) -> tuple[Contract, ...]:
    """Return the chain of a root on a session."""
    return tuple(_contracts(root, day))


def _contracts(root: str, day: date) -> Iterable[Contract]:
    now = calendar.session_close(day)
    s = spot(ROOTS[root], day)
    for expiration in expirations(root, day):
        settles = calendar.expiry_time("AM" if root == "SPX" else "PM", expiration)
        tte = (settles - now).total_seconds() / (365 * 86400)
        forward = s * exp(RATE * tte)
        steps = (forward * exp(z / 3.0 * 0.18 * sqrt(tte)) for z in range(-6, 7))
        for strike in sorted({float(round(step)) for step in steps}):
            vol = implied_vol(log(strike / forward), tte)
            for right in ("CALL", "PUT"):
                yield Contract(
                    root=root,
                    expiration=expiration,
                    strike=strike,
                    right=right,
                    spot=s,
                    tte=tte,
                    vol=vol,
                )


@dataclass(frozen=True, kw_only=True)
class Market:
    """Answers requests of an account of `tier` on the date `today`, under the vendor's rules."""

    today: date | None = None
    tier: str = "pro"
    missing: set[date] = field(default_factory=set)

    def answer(self, path: str, params: Mapping[str, str]) -> tuple[int, str]:
        """Return status and body."""
        serve = {
            "/option/history/eod": (self._option_eod, "free"),
            "/option/history/open_interest": (self._open_interest, "value"),
            "/option/history/greeks/eod": (self._greeks, "standard"),
            "/option/at_time/quote": (self._option_at, "value"),
            "/option/list/expirations": (self._expirations, "free"),
            "/option/list/contracts/quote": (self._listed, "value"),
            "/stock/history/eod": (self._bars, "free"),
            "/index/history/eod": (self._bars, "free"),
            "/stock/at_time/quote": (self._stock_at, "value"),
            "/index/at_time/price": (self._index_at, "value"),
            "/stock/list/dates/quote": (self._dates, "free"),
            "/index/list/dates": (self._dates, "free"),
            "/interest_rate/history/eod": (self._rates, "free"),
            "/terminal/mdds/status": (lambda _: (200, "CONNECTED"), "free"),
        }
        if path.startswith("/v2"):
            return 410, "version 2 is gone: use /v3, root is now symbol"
        if path not in serve:
            return 404, "no such path"
        handler, tier = serve[path]
        if TIERS.index(tier) > TIERS.index(self.tier):
            return 403, f"this request needs a {tier.upper()} subscription"
        return self._refused(path, params) or handler(params)

    def _refused(self, path: str, params: Mapping[str, str]) -> tuple[int, str] | None:
        if "start_date" not in params:
            return None
        start, end = _span(params)
        if start < FIRST_DATES[TIERS.index(self.tier)]:
            return 403, f"{start} is before the first date of this subscription"
        if (end - start).days >= 365:
            return 400, "too many days"
        if params.get("expiration") == "*":
            if self.today and end >= self.today:
                return 400, "current-day data needs an expiration"
            if "greeks" in path and start != end:
                return 400, "request one day at a time"
        return None

    def _sessions(self, params: Mapping[str, str]) -> list[date]:
        start, end = _span(params)
        last = min(end, self.today or end)
        return [day for day in calendar.sessions(start, last) if day not in self.missing]

    def _chain(self, params: Mapping[str, str]) -> Iterable[tuple[Contract, date]]:
        """Contract-major, as the vendor sends it."""
        root, wanted = params["symbol"], params["expiration"]
        rows = [
            (contract, day)
            for day in (self._sessions(params) if root in ROOTS else [])
            for contract in contracts(root, day)
            if wanted in ("*", contract.expiration.isoformat())
        ]
        return sorted(
            rows, key=lambda row: (row[0].expiration, row[0].strike, row[0].right, row[1])
        )

    def _option_eod(self, params: Mapping[str, str]) -> tuple[int, str]:
        return _csv(
            f"{CONTRACT},{BAR}",
            (
                f"{_name(c)},{day}T17:16:56.205,{day}T15:48:12.005,{c.price:.2f},{c.price:.2f},"
                f"{c.price:.2f},{c.price:.2f},{c.open_interest // 10},3,{_quote(*c.bid_ask)}"
                for c, day in self._chain(params)
            ),
        )

    def _open_interest(self, params: Mapping[str, str]) -> tuple[int, str]:
        return _csv(
            f"{CONTRACT},timestamp,open_interest",
            (f"{_name(c)},{day}T06:30:04,{c.open_interest}" for c, day in self._chain(params)),
        )

    def _greeks(self, params: Mapping[str, str]) -> tuple[int, str]:
        return _csv(
            f"{CONTRACT},timestamp,open,high,low,close,volume,count,{QUOTE},{GREEKS}",
            (
                f"{_name(c)},{day}T15:59:59.828,{c.price:.2f},{c.price:.2f},{c.price:.2f},"
                f"{c.price:.2f},{c.open_interest // 10},3,{_quote(*c.bid_ask)},{_greeks(c)},"
                f"0.0001,{day}T17:15:28.71,{c.spot:.3f}"
                for c, day in self._chain(params)
            ),
        )

    def _option_at(self, params: Mapping[str, str]) -> tuple[int, str]:
        at = _stamp(params["time_of_day"])
        return _csv(
            f"{CONTRACT},timestamp,{QUOTE}",
            (f"{_name(c)},{day}T{at},{_quote(*c.bid_ask)}" for c, day in self._chain(params)),
        )

    def _expirations(self, params: Mapping[str, str]) -> tuple[int, str]:
        root, today = params["symbol"], self.today or date(2024, 11, 15)
        listed = {day for back in (0, 30) for day in expirations(root, today - timedelta(back))}
        return _csv("symbol,expiration", (f"{root},{day}" for day in listed))

    def _listed(self, params: Mapping[str, str]) -> tuple[int, str]:
        day = date.fromisoformat(params["date"])
        alive = contracts(params["symbol"], day) if calendar.is_session(day) else ()
        return _csv(CONTRACT, map(_name, alive))

    def _bars(self, params: Mapping[str, str]) -> tuple[int, str]:
        symbol = params["symbol"]
        days = self._sessions(params) if symbol in BASES else []
        volume = 0 if symbol in INDICES else 51234567
        return _csv(BAR, (_bar(spot(symbol, day), day, volume) for day in days))

    def _stock_at(self, params: Mapping[str, str]) -> tuple[int, str]:
        at = _stamp(params["time_of_day"])
        prices = ((spot(params["symbol"], day), day) for day in self._sessions(params))
        return _csv(
            f"timestamp,{QUOTE}",
            (f"{day}T{at},{_quote(price - 0.01, price + 0.01)}" for price, day in prices),
        )

    def _index_at(self, params: Mapping[str, str]) -> tuple[int, str]:
        at, days = _stamp(params["time_of_day"]), self._sessions(params)
        return _csv(
            "timestamp,sequence,ext_condition1,condition,size,exchange,price",
            (f"{day}T{at},0,255,0,0,5,{spot(params['symbol'], day):.2f}" for day in days),
        )

    def _dates(self, params: Mapping[str, str]) -> tuple[int, str]:
        last = self.today or date(2024, 12, 31)
        span = {"start_date": "2012-06-01", "end_date": last.isoformat()}
        days = self._sessions(span) if params["symbol"] in BASES else []
        return _csv("date", (str(day) for day in reversed(days)))

    def _rates(self, params: Mapping[str, str]) -> tuple[int, str]:
        rate = PAR_YIELDS[params["symbol"]]
        return _csv("created,rate", (f" {day},{rate:.4f}" for day in self._sessions(params)))


def _csv(header: str, rows: Iterable[str]) -> tuple[int, str]:
    lines = list(rows)
    return (200, "\r\n".join([header, *lines, ""])) if lines else NO_DATA


def _span(params: Mapping[str, str]) -> tuple[date, date]:
    return date.fromisoformat(params["start_date"]), date.fromisoformat(params["end_date"])


def _stamp(time_of_day: str) -> str:
    return datetime.strptime(time_of_day, "%H:%M:%S.%f").strftime("%H:%M:%S")


def _name(contract: Contract) -> str:
    return f"{contract.root},{contract.expiration},{contract.strike:.3f},{contract.right}"


def _quote(bid: float, ask: float) -> str:
    return f"10,60,{bid:.2f},50,12,5,{ask:.2f},50"


def _greeks(contract: Contract) -> str:
    values = contract.greeks()
    return ",".join(f"{values.get(name, 0.0):.4f}" for name in GREEKS.split(",")[:21])


def _bar(close: float, day: date, volume: int) -> str:
    prices = f"{close:.2f},{close * 1.004:.2f},{close * 0.996:.2f},{close:.2f}"
    return f"{day}T17:17:53.6,{day}T16:00:01,{prices},{volume},1000,2,7,0.00,0,2,1,0.00,0"


def _cdf(x: float) -> float:
    return 0.5 * (1.0 + erf(x / sqrt(2.0)))
