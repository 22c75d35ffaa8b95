"""A Deribit on loopback that speaks the public API over real HTTP, with faults on demand.

Belongs here: the wire format and a small market priced by Black. The market is a function of the
server's clock, which a test may own; `play` makes it serve recorded answers instead. To try the
platform on it: `python -m tests.resources.deribit.exchange`, DERIBIT_URL=http://127.0.0.1:25600.
"""

import json
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from math import exp, log
from statistics import NormalDist
from typing import Any

from tests.resources.loopback import Answer, Call, LoopbackVendor
from volsurf_resources.deribit import Snapshot

Row = dict[str, Any]

SPOT = {"BTC": 67_000.0, "ETH": 2_000.0, "XRP_USDC": 0.6}
INDEX = {"btc_usd": "BTC", "eth_usd": "ETH", "xrp_usdc": "XRP_USDC"}
MONEYNESS = (0.8, 0.9, 1.0, 1.1, 1.25)
DAYS_TO_EXPIRY = (1, 8, 36)
HOUR_MS = 3_600_000
MOST_CANDLES = 500  # fewer than the real exchange's, so that paging is tried
MOST_LEVELS = 100


def utc_now() -> datetime:
    return datetime.now(UTC)


def ms(at: datetime) -> int:
    return round(1000 * at.timestamp())


def error(code: int, message: str, status: int = 400, **data: Any) -> Answer:
    """An error as the exchange tells it; also inside HTTP 200."""
    body = {"jsonrpc": "2.0", "error": {"code": code, "message": message, "data": data}}
    return Answer(status=status, body=json.dumps(body))


TOO_MANY = error(10028, "too_many_requests", status=429)


def names(symbol: str, today: date) -> list[str]:
    """Instruments of a symbol; the strikes hang together with the price of the day."""
    spot = SPOT[symbol]
    digits = 4 if spot < 10 else -2
    strikes = [f"{round(spot * m, digits):g}".replace(".", "d") for m in MONEYNESS]
    expiries = [today + timedelta(days=n) for n in DAYS_TO_EXPIRY]
    return [
        f"{symbol}-{day.day}{day:%b}".upper() + f"{day:%y}-{strike}-{side}"
        for day in expiries
        for strike in strikes
        for side in "CP"
    ]


class Exchange(LoopbackVendor):
    """`now` is the server's clock; `is_testnet` flattens the vols and says so."""

    prefix = "/api/v2/public"

    def __init__(
        self, now: Callable[[], datetime] = utc_now, *, is_testnet: bool = False, port: int = 0
    ):
        super().__init__(port=port)
        self.now = now
        self.is_testnet = is_testnet
        self.fault: Callable[[Call], Answer | None] = lambda call: None
        self.changes: dict[str, Row] = {}  # by instrument: fields of its summary
        self.extra: list[Row] = []
        self._recorded: dict[str, list[Row]] = {}

    def play(self, snapshot: Snapshot) -> None:
        """From now on serve a recorded chain, of tickers, under the methods of a live one."""
        tickers = {row["instrument_name"]: row for row in snapshot.tickers}
        self._recorded = {
            "get_book_summary_by_currency": [_as_summary(row) for row in tickers.values()],
            "get_instruments": snapshot.instruments,
        } | {name: [row] for name, row in tickers.items()}
        self._recorded["get_index_price"] = [{"index_price": snapshot.index_price}]

    def reply(self, call: Call) -> Answer:
        if (answer := self.fault(call)) is not None:
            return answer
        result = self._again(call) if self._recorded else self._made(call)
        if isinstance(result, Answer):
            return result
        at = int(1e6 * self.now().timestamp())
        envelope = {"jsonrpc": "2.0", "result": result, "usIn": at, "usOut": at, "usDiff": 0}
        return Answer(body=json.dumps(envelope | {"testnet": self.is_testnet}))

    def _made(self, call: Call) -> Any:
        return getattr(self, call.path.removeprefix("/"))(call.params)

    def _again(self, call: Call) -> Any:
        method = call.path.removeprefix("/")
        rows = self._recorded[call.params["instrument_name"] if method == "ticker" else method]
        return rows if "by_currency" in method or method == "get_instruments" else rows[0]

    def get_book_summary_by_currency(self, params: dict[str, str]) -> list[Row]:
        symbols = [s for s in SPOT if s.rpartition("_")[2] == params["currency"]]
        return [self.summary(name) for s in symbols for name in self.names(s)] + self.extra

    def get_instruments(self, params: dict[str, str]) -> list[Row]:
        symbols = [s for s in SPOT if s.rpartition("_")[2] == params["currency"]]
        return [terms(name) for s in symbols for name in self.names(s)]

    def names(self, symbol: str) -> list[str]:
        return names(symbol, self.now().date())

    def ticker(self, params: dict[str, str]) -> Row | Answer:
        name = params["instrument_name"]
        if name not in self.names(name.partition("-")[0]):
            return error(13020, "instrument_not_found")
        row = self.summary(name)
        return {
            "timestamp": row["creation_timestamp"],
            "instrument_name": name,
            "state": "open",
            "best_bid_price": row["bid_price"] or 0.0,
            "best_ask_price": row["ask_price"] or 0.0,
            "best_bid_amount": 12.5,
            "best_ask_amount": 0.1,
            "mark_price": row["mark_price"],
            "mark_iv": row["mark_iv"],
            "bid_iv": 0.0,
            "ask_iv": row["mark_iv"] + 1.0,
            "greeks": {"delta": 0.5, "gamma": 1e-5, "vega": 40.0, "theta": -60.0, "rho": 3.0},
            "underlying_price": row["underlying_price"],
            "underlying_index": row["underlying_index"],
            "index_price": SPOT[name.partition("-")[0]],
            "open_interest": row["open_interest"],
            "interest_rate": 0.0,
            "stats": {"high": None, "low": None, "volume": 7.5, "volume_usd": 1e4},
        }

    def get_index_price(self, params: dict[str, str]) -> Row | Answer:
        if (name := params["index_name"]) not in INDEX:
            return error(-32602, "Invalid params", reason="wrong format", param="index_name")
        return {"index_price": SPOT[INDEX[name]], "estimated_delivery_price": SPOT[INDEX[name]]}

    def get_tradingview_chart_data(self, params: dict[str, str]) -> Row:
        first, last = int(params["start_timestamp"]), int(params["end_timestamp"])
        hours = range(-(-first // HOUR_MS), last // HOUR_MS + 1)[-MOST_CANDLES:]
        spot = SPOT[params["instrument_name"].removesuffix("-PERPETUAL")]
        close = [spot * (1.0 + 0.001 * (hour % 24)) for hour in hours]
        return {
            "status": "ok" if hours else "no_data",
            "ticks": [hour * HOUR_MS for hour in hours],
            "open": close,
            "high": [price * 1.01 for price in close],
            "low": [spot * 0.99] * len(close),
            "close": close,
            "volume": [2.0] * len(close),
            "cost": [1e5] * len(close),
        }

    def get_volatility_index_data(self, params: dict[str, str]) -> Row:
        first, last = int(params["start_timestamp"]), int(params["end_timestamp"])
        hours = range(-(-first // HOUR_MS), last // HOUR_MS + 1)
        page = hours[-MOST_LEVELS:]
        is_more = len(hours) > len(page)
        data = [[hour * HOUR_MS, 50.0, 52.0, 49.0, 51.0 + hour % 24 / 24] for hour in page]
        return {"data": data, "continuation": page[0] * HOUR_MS - 1 if is_more else None}

    def get_delivery_prices(self, params: dict[str, str]) -> Row:
        spot, offset = SPOT[INDEX[params["index_name"]]], int(params["offset"])
        days = [self.now().date() - timedelta(days=n) for n in range(1500)]
        page = days[offset : offset + min(1000, int(params["count"]))]
        rows = [{"date": day.isoformat(), "delivery_price": spot + day.day} for day in page]
        return {"data": rows, "records_total": len(days)}

    def get_last_trades_by_currency_and_time(self, params: dict[str, str]) -> Row:
        first, last = int(params["start_timestamp"]), int(params["end_timestamp"])
        quarter = HOUR_MS // 60
        times = range(-(-first // quarter) * quarter, last + 1, quarter)
        name = self.names(params["currency"])[0]
        rows = [
            {
                "trade_id": f"{at}",
                "instrument_name": name,
                "timestamp": at,
                "direction": "buy",
                "price": 0.01,
                "amount": 0.3,
                "iv": 50.0,
                "index_price": 67_000.0,
                "mark_price": 0.0101,
            }
            for at in times
        ]
        most = int(params["count"])
        return {"trades": rows[:most], "has_more": len(rows) > most}

    def summary(self, name: str) -> Row:
        """A quote: Black's price at a smile, half a percent of vol wide; in coin, or in USDC."""
        root, day, strike, is_call = read(name)
        at = self.now()
        expiry = datetime(day.year, day.month, day.day, 8, tzinfo=UTC)
        tte = max((expiry - at).total_seconds(), 60.0) / (365 * 86_400)
        forward = SPOT[root] * exp(0.03 * tte)
        vol = 0.5 if self.is_testnet else 0.5 + 0.1 * log(strike / forward) ** 2 / tte**0.5
        unit = 1.0 if "_" in root else forward
        bid, mark, ask = (
            black(forward, strike, v * tte**0.5, is_call) / unit
            for v in (vol - 0.0025, vol, vol + 0.0025)
        )
        return {
            "instrument_name": name,
            "base_currency": root.partition("_")[0],
            "quote_currency": root.rpartition("_")[2],
            "bid_price": bid if mark > 1e-4 else None,
            "ask_price": ask,
            "mid_price": mark,
            "mark_price": mark,
            "mark_iv": round(100 * vol, 2),
            "last": None,
            "high": None,
            "low": None,
            "price_change": None,
            "underlying_price": forward,
            "underlying_index": f"SYN.{root}",
            "interest_rate": 0.0,
            "open_interest": 10.0,
            "volume": 3.5,
            "volume_usd": 1e4,
            "estimated_delivery_price": SPOT[root],
            "creation_timestamp": ms(at),
        } | self.changes.get(name, {})


def _as_summary(ticker: Row) -> Row:
    """What the bulk answer tells of a ticker: a missing side is null there, not 0."""
    return (
        {
            "instrument_name": ticker["instrument_name"],
            "base_currency": ticker["instrument_name"].partition("-")[0],
            "bid_price": ticker["best_bid_price"] if float(ticker["best_bid_price"]) else None,
            "ask_price": ticker["best_ask_price"] if float(ticker["best_ask_price"]) else None,
            "last": ticker["last_price"],
            "creation_timestamp": ticker["timestamp"],
            "volume": ticker["stats"]["volume"],
        }
        | {
            name: ticker[name]
            for name in ("mark_price", "mark_iv", "underlying_price", "underlying_index")
        }
        | {"open_interest": ticker["open_interest"], "interest_rate": ticker["interest_rate"]}
    )


def black(forward: float, strike: float, deviation: float, is_call: bool) -> float:
    """Black (1976), undiscounted."""
    sign, cdf = (1.0 if is_call else -1.0), NormalDist().cdf
    d1 = log(forward / strike) / deviation + 0.5 * deviation
    return sign * (forward * cdf(sign * d1) - strike * cdf(sign * (d1 - deviation)))


def read(name: str) -> tuple[str, date, float, bool]:
    root, day, strike, side = name.split("-")
    at = datetime.strptime(day.title(), "%d%b%y").date()
    return root, at, float(strike.replace("d", ".")), side == "C"


def terms(name: str) -> Row:
    root, day, strike, is_call = read(name)
    return {
        "instrument_name": name,
        "kind": "option",
        "instrument_type": "linear" if "_" in root else "reversed",
        "base_currency": root.partition("_")[0],
        "quote_currency": root.rpartition("_")[2],
        "settlement_currency": root.rpartition("_")[2],
        "price_index": f"{root.lower()}" if "_" in root else f"{root.lower()}_usd",
        "strike": strike,
        "option_type": "call" if is_call else "put",
        "expiration_timestamp": ms(datetime(day.year, day.month, day.day, 8, tzinfo=UTC)),
        "contract_size": 1.0,
        "tick_size": 0.0001,
        "is_active": True,
        "state": "open",
    }


if __name__ == "__main__":
    with Exchange(port=25600):
        threading.Event().wait()
