"""The forward of every expiry: from put-call pairs near the money, else from carry.

Belongs here: choosing pairs and fallbacks, frame to arrays and back. Not here: the regression and
the removal of early exercise (volsurf_math), or the rules of a usable quote (`quality`).
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from volsurf_assets.dividends import DIVIDEND_HISTORY, Dividends, expected_dividends
from volsurf_assets.pictures import sparkline
from volsurf_assets.price_units import COIN, with_underlying
from volsurf_assets.quality import MID, PRICES, is_usable
from volsurf_assets.session import Session
from volsurf_assets.spots import spot_of_quotes, told_spot
from volsurf_assets.table_asset import table_asset
from volsurf_assets.zero_curve import Curve, curve_of
from volsurf_resources.exchange_calendar import expiry_time
from volsurf_tables.market import MARKET_RATES, RAW_OPTIONS_CHAINS, UNDERLYING_PRICES
from volsurf_tables.quotes import IMPLIED_FORWARDS

SECONDS_PER_YEAR = 365.0 * 86_400.0
MIN_PAIRS = 6  # nearest pairs that are always used
MAX_RATE_STD_ERROR = 0.0025  # beyond it the curve knows the discount factor better
MAX_RATE_GAP = 0.01  # so does it when quotes and curve disagree by more
AT_THE_MONEY = 0.5244  # standard deviations from the forward: |delta| of 0.3 to 0.7
SLOPE = {"european": 2.0, "american": AT_THE_MONEY}  # the same, for the discount factor
THREADS = 4  # over expiries: the kernels run without the interpreter lock
MAX_AMERICAN = 24  # pairs: removing early exercise is dear
EXPIRY = ["symbol", "quote_date", "snapshot", "root", "expiration_date"]

Row = dict[str, Any]
Array = np.ndarray[Any, np.dtype[np.float64]]


def with_expiry(chain: pl.DataFrame) -> pl.DataFrame:
    """Add the settlement instant and the time to it, row by row, from the quote's own time."""
    expiries = chain.select("settlement", "expiration_date").unique()
    instants = [expiry_time(*row) for row in expiries.iter_rows()]
    times = expiries.with_columns(expiry_time=pl.Series(instants, dtype=pl.Datetime("us", "UTC")))
    left = (pl.col("expiry_time") - pl.col("quote_time")).dt.total_microseconds() / 1e6
    return chain.join(times, on=["settlement", "expiration_date"], how="left").with_columns(
        tte_years=left / SECONDS_PER_YEAR
    )


@table_asset(
    IMPLIED_FORWARDS,
    reads=[RAW_OPTIONS_CHAINS, MARKET_RATES, UNDERLYING_PRICES],
    code_version="8",
    picture=lambda rows: sparkline(rows["implied_carry"]),
)
def implied_forwards(session: Session) -> pl.DataFrame:
    """Estimate forward and discount factor of every expiry of every chain."""
    chain = with_underlying(with_expiry(session.read(RAW_OPTIONS_CHAINS)))
    curve, history = curve_of(session), session.window(UNDERLYING_PRICES, DIVIDEND_HISTORY)
    settings, rows = session.settings, list[Row]()
    price = PRICES[settings.price_source]
    for (symbol, _), own in chain.group_by("symbol", "snapshot", maintain_order=True):
        dividends = expected_dividends(history, str(symbol), session.day)
        told = told_spot(own, history, session.day)
        estimate = partial(_estimate, spot=told, curve=curve, dividends=dividends)
        expiries = _expiries(own, is_usable(settings), price)
        with ThreadPoolExecutor(THREADS) as threads:
            estimated = list(threads.map(estimate, expiries))
        known = [row for row in estimated if row["status"] in ("estimated", "fallback")]
        spot = spot_of_quotes(told, known, dividends)
        rows.extend(_fill_gaps(estimated, known, spot, curve))
    source = {"price_source": settings.price_source}
    return pl.DataFrame([row | source for row in rows], schema=IMPLIED_FORWARDS.schema)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Put-call pairs of one expiry, sorted by strike: prices and half-spreads, in dollars."""

    strike: Array
    call: Array
    put: Array
    call_half: Array
    put_half: Array

    def columns(self) -> tuple[Array, Array, Array, Array, Array]:
        """The arrays in the order in which the fits take them."""
        return self.strike, self.call, self.put, self.call_half, self.put_half

    def scaled(self, factor: float) -> "Pairs":
        """Return the pairs at prices worth more or less."""
        return Pairs(self.strike, *(factor * column for column in self.columns()[1:]))

    def within(self, standard_deviations: float, most: int | None = None) -> "Pairs":
        """Pairs around the strike where call and put agree: a band of the straddle's own width.

        At least `MIN_PAIRS` (if there are as many), at most `most`, the nearest first.
        """
        if self.strike.size <= MIN_PAIRS:
            return self
        centre = np.argmin(np.abs(self.call - self.put))
        straddle = self.call[centre] + self.put[centre]
        sd = 1.25 * straddle / self.strike[centre]  # an at-the-money straddle is worth 0.8 sd
        distance = np.abs(np.log(self.strike / self.strike[centre]))
        ranked = np.argsort(distance, kind="stable")
        inside = int((distance <= standard_deviations * sd).sum())
        chosen = np.sort(ranked[: max(MIN_PAIRS, inside)][:most])
        return Pairs(*(column[chosen] for column in self.columns()))


@dataclass(frozen=True, slots=True)
class Expiry:
    """One expiry's identity, its time left, and its pairs."""

    key: Row
    style: str
    at: datetime
    tte: float
    pairs: Pairs
    coin: float | None  # dollars that a coin was taken for, where prices are in coin


def _expiries(own: pl.DataFrame, usable: pl.Expr, price: pl.Expr = MID) -> Iterator[Expiry]:
    """Every expiry of one chain, with the pairs of quotes that are usable and come once.

    A pair quoted while the underlying stood elsewhere has its strike moved along with it.
    """
    half = (pl.col("ask") - pl.col("bid")) / 2.0
    marked = own.with_columns(is_usable=usable)
    good = marked.filter("is_usable").unique([*EXPIRY, "strike", "option_type"], keep="none")
    call, put = (
        good.filter(pl.col("option_type") == side).select(
            *EXPIRY, "strike", "drift", price=price * pl.col("worth"), half=half * pl.col("worth")
        )
        for side in ("CALL", "PUT")
    )
    joined = call.join(put, on=[*EXPIRY, "strike"], suffix="_put").drop_nulls("price")
    at = pl.col("strike") / (0.5 * (pl.col("drift") + pl.col("drift_put")))
    joined = joined.with_columns(strike=at).sort("strike")
    pairs = joined.partition_by(EXPIRY, as_dict=True, include_key=False, maintain_order=True)
    none = joined.clear().drop(EXPIRY)
    timed = pl.col("tte_years").filter(pl.col("is_usable")).median()
    about = marked.group_by(EXPIRY, maintain_order=True).agg(
        pl.col("exercise_style", "expiry_time", "price_unit", "worth").first(),
        tte=pl.coalesce(timed, pl.col("tte_years").median(), 0.0),
    )
    for row in about.iter_rows(named=True):
        key = {name: row[name] for name in EXPIRY}
        columns = pairs.get(tuple(key.values()), none)
        names = ("strike", "price", "price_put", "half", "half_put")
        yield Expiry(
            key=key,
            style=row["exercise_style"],
            at=row["expiry_time"],
            tte=row["tte"],
            pairs=Pairs(*(columns[name].to_numpy() for name in names)),
            coin=row["worth"] if row["price_unit"] == COIN else None,
        )


def _estimate(expiry: Expiry, spot: float | None, curve: Curve, dividends: Dividends) -> Row:
    """Fit the forward of one expiry; `status` is null where there is nothing to fit."""
    from volsurf_math.parity import ParityStatus

    row: Row = {**expiry.key, "exercise_style": expiry.style, "expiry_time": expiry.at}
    row |= {
        "tte_years": expiry.tte,
        "quoted_spot": spot,
        "n_pairs": 0,
        "n_left_out": 0,
        "status": None,
        "reason": None,
    }
    if not expiry.tte > 0.0:
        return row | {"status": "failed", "reason": "expired"}
    rate = curve.rate(expiry.tte)
    if expiry.style == "american" and rate is not None and spot is not None:
        pairs = expiry.pairs.within(AT_THE_MONEY, MAX_AMERICAN)
        fit, outcome = _american(pairs, expiry.tte, spot, rate, dividends)
    else:
        pairs = expiry.pairs.within(AT_THE_MONEY)
        fit, outcome = _european(pairs, expiry, rate)
    if fit.status != ParityStatus.OK:
        return row | {"reason": f"{pairs.strike.size} usable pairs: {fit.status.name.lower()}"}
    found = {
        "forward": fit.forward,
        "discount_factor": fit.discount_factor,
        "forward_std_error": fit.forward_std_error,
        "discount_factor_std_error": fit.discount_factor_std_error,
        "n_pairs": fit.n_pairs,
        "n_left_out": pairs.strike.size - fit.n_pairs,
        "parity_gap_half_spreads": fit.median_gap_half_spreads,
        "status": "estimated",
    }
    return row | found | outcome


def _american(
    pairs: Pairs, tte: float, spot: float, rate: float, dividends: Dividends
) -> tuple[Any, Row]:
    """Fit pairs net of early exercise; what the dividends might be is part of the error."""
    from volsurf_math.parity import american_forward

    def fit(amounts: Array, **near: Any) -> Any:
        return american_forward(*pairs.columns(), spot, tte, rate, dividends.times, amounts, **near)

    found, std_error = fit(dividends.amounts), 0.0
    if (dividends.times <= tte).any():
        other = fit(dividends.amounts + dividends.std_errors, start=found.forward, iterations=1)
        std_error = other.forward - found.forward
    std_error = float(np.hypot(found.forward_std_error, std_error))
    outcome: Row = {"method": "parity_american", "forward_std_error": std_error}
    outcome["discount_factor_std_error"] = None  # the curve states none
    if not dividends.is_year_known:
        outcome |= {"status": "fallback", "reason": "less than a year of dividends known"}
    return found, outcome


def _european(pairs: Pairs, expiry: Expiry, rate: float | None) -> tuple[Any, Row]:
    """Fit the forward to pairs, with the discount factor of a wider band or of the curve."""
    from volsurf_math.parity import ParityStatus, fit_forward

    outcome: Row = {"method": "parity_regression"}
    if expiry.coin is not None:
        return _of_coin(pairs, expiry.coin, float(np.exp(-(rate or 0.0) * expiry.tte))), outcome
    line = fit_forward(*expiry.pairs.within(SLOPE[expiry.style]).columns())
    discount_factor, std_error = line.discount_factor, line.discount_factor_std_error
    if rate is not None and not _is_credible(line, expiry.tte, rate):
        discount_factor, std_error = float(np.exp(-rate * expiry.tte)), 0.0
        outcome["reason"] = "discount factor from the curve"
        outcome["discount_factor_std_error"] = None
    elif line.status != ParityStatus.OK:
        return line, outcome
    if expiry.style == "american":
        outcome |= {"status": "fallback", "reason": "no curve or no spot: early exercise ignored"}
    known = {"discount_factor": discount_factor, "discount_factor_std_error": std_error}
    return fit_forward(*pairs.columns(), **known), outcome


def _of_coin(pairs: Pairs, coin: float, discount_factor: float) -> Any:
    """Fit the forward to prices in coin: a line in the strike once a coin is worth the forward.

    Taken for the underlying, which is near, the line is steeper by a few basis points: the second
    fit leaves of that error its square.
    """
    from volsurf_math.parity import ParityStatus, fit_forward

    fit = fit_forward(*pairs.columns(), discount_factor=discount_factor)
    if fit.status != ParityStatus.OK:
        return fit
    worth = pairs.scaled(fit.forward / coin)
    return fit_forward(*worth.columns(), discount_factor=discount_factor)


def _is_credible(fit: Any, tte: float, rate: float) -> bool:
    """Whether the pairs tell the rate of an expiry better than the curve does."""
    error = fit.discount_factor_std_error / (fit.discount_factor * tte)
    gap = abs(np.log(fit.discount_factor) / tte + rate)
    return bool(error <= MAX_RATE_STD_ERROR and gap <= MAX_RATE_GAP)


def _fill_gaps(rows: list[Row], known: list[Row], spot: float | None, curve: Curve) -> list[Row]:
    """Give expiries without pairs the carry of those with, and every row its spot and rates."""
    known = sorted(known, key=lambda row: row["tte_years"])
    tte = np.array([row["tte_years"] for row in known])
    for row in rows:
        row["spot"] = spot
        if row["status"] is None:
            row.update(_by_carry(row, tte, known, spot, curve))
        if row.get("forward") is not None:
            row["implied_rate"] = 0.0 - np.log(row["discount_factor"]) / row["tte_years"]
            if spot:
                row["implied_carry"] = np.log(row["forward"] / spot) / row["tte_years"]
    return rows


def _by_carry(row: Row, tte: Array, known: list[Row], spot: float | None, curve: Curve) -> Row:
    if spot is None:
        return {"status": "failed", "reason": f"{row['reason']}; no underlying price"}
    t, rate = row["tte_years"], curve.rate(row["tte_years"])
    if known:
        carry = np.array([np.log(r["forward"] / spot) / r["tte_years"] for r in known])
        rates = np.array([-np.log(r["discount_factor"]) / r["tte_years"] for r in known])
        growth, where = float(np.interp(t, tte, carry)), "carry of the other expiries"
        rate = float(np.interp(t, tte, rates)) if rate is None else rate
    elif rate is not None:
        growth, where = rate, "carry at the curve's rate, no dividends"
    else:
        return {"status": "failed", "reason": f"{row['reason']}; no curve and no other expiry"}
    return {
        "forward": spot * float(np.exp(growth * t)),
        "discount_factor": float(np.exp(-(rate or 0.0) * t)),
        "method": "carry",
        "status": "fallback",
        "reason": f"{row['reason']}; {where}",
    }
