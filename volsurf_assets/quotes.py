"""Quotes with our own implied vols and greeks, and every finding against them.

Belongs here: frame to arrays, the maths of Black and of early exercise, arrays to frame. Not here:
the rules of one row (`quality`), or forwards (`forwards`).
"""

from typing import Any

import numpy as np
import polars as pl

from volsurf_assets.dividends import DIVIDEND_HISTORY, Dividends, expected_dividends
from volsurf_assets.forwards import EXPIRY, SECONDS_PER_YEAR
from volsurf_assets.pictures import sparkline
from volsurf_assets.quality import (
    IS_TRADABLE,
    MID,
    broken,
    chain_rules,
    is_usable,
    liquidity_rules,
    vol_rules,
)
from volsurf_assets.session import Session
from volsurf_assets.static_arbitrage import static_violations
from volsurf_assets.table_asset import table_asset
from volsurf_tables.market import RAW_OPTIONS_CHAINS, UNDERLYING_PRICES
from volsurf_tables.quotes import IMPLIED_FORWARDS, OPTION_QUOTES

Array = np.ndarray[Any, np.dtype[np.float64]]
FROM_FORWARDS = (
    "tte_years", "forward", "discount_factor", "implied_rate", "implied_carry", "spot",
)  # fmt: skip


@table_asset(
    OPTION_QUOTES,
    reads=[RAW_OPTIONS_CHAINS, IMPLIED_FORWARDS, UNDERLYING_PRICES],
    code_version="1",
    picture=lambda rows: sparkline(rows.filter("is_liquid")["iv_mid"]),
)
def option_quotes(session: Session) -> pl.DataFrame:
    """Solve every two-sided quote for its vol, and mark which quotes are fit for fitting."""
    chain = with_forwards(session.read(RAW_OPTIONS_CHAINS), session.read(IMPLIED_FORWARDS))
    history = session.window(UNDERLYING_PRICES, DIVIDEND_HISTORY)
    solved = [
        _solve(own, expected_dividends(history, str(symbol), session.day))
        for (symbol, _), own in chain.group_by("symbol", "snapshot", maintain_order=True)
    ]
    if not solved:
        return OPTION_QUOTES.schema.to_frame()
    settings = session.settings
    quotes = with_executable(pl.concat(solved).with_columns(is_usable=is_usable(settings)))
    quality = [rule for rule in chain_rules(settings) if rule.severity != "info"]
    rules = (*quality, *vol_rules(settings), *liquidity_rules(settings))
    reasons = pl.concat_str(
        [
            pl.when(~pl.col("is_tradable")).then(pl.lit("not_two_sided")),
            broken(rules),
            pl.col("executable"),
            pl.when(pl.col("iv_mid").is_null()).then(pl.lit("no_iv")),
        ],
        separator=";",
        ignore_nulls=True,
    )
    judged = quotes.with_columns(
        reject_reason=pl.when(reasons != "").then(reasons), is_liquid=reasons == ""
    )
    return judged.select(OPTION_QUOTES.schema.names())


def with_executable(quotes: pl.DataFrame) -> pl.DataFrame:
    """Add the names of the arbitrages that a quote is part of and that can be locked in."""
    roots = quotes.partition_by("symbol", "snapshot", "root", maintain_order=True)
    marked = []
    for root in roots:
        names = [
            pl.when(pl.Series(violation.breaks)).then(pl.lit(violation.rule))
            for violation in static_violations(root)
            if violation.severity != "info"
        ]
        joined = pl.concat_str(names, separator=";", ignore_nulls=True)
        marked.append(root.with_columns(executable=pl.when(joined != "").then(joined)))
    return pl.concat(marked)


def with_forwards(chain: pl.DataFrame, forwards: pl.DataFrame) -> pl.DataFrame:
    """Join each contract with its expiry's forward; the time left counts from the row's quote."""
    known = forwards.select(*EXPIRY, "expiry_time", *FROM_FORWARDS)
    left = (pl.col("expiry_time") - pl.col("quote_time")).dt.total_microseconds() / 1e6
    return chain.join(known, on=EXPIRY, how="left", maintain_order="left").with_columns(
        tte_years=pl.coalesce(left / SECONDS_PER_YEAR, "tte_years"),
        mid=pl.when(IS_TRADABLE.fill_null(False)).then(MID),
        is_tradable=IS_TRADABLE.fill_null(False),
    )


def _solve(own: pl.DataFrame, dividends: Dividends) -> pl.DataFrame:
    """Add vols and greeks to one underlying's chain."""
    from volsurf_math.greeks import black_greeks
    from volsurf_math.implied_vol import ImpliedVolStatus, implied_vol

    forward, strike, tte, df, rate, carry, spot, mid, bid, ask = (
        own[name].cast(pl.Float64).to_numpy()
        for name in (
            "forward", "strike", "tte_years", "discount_factor", "implied_rate",
            "implied_carry", "spot", "mid", "bid", "ask",
        )
    )  # fmt: skip
    is_call = (own["option_type"] == "CALL").to_numpy()
    is_american = (own["exercise_style"] == "american").to_numpy()
    premium = np.zeros(own.height)
    vol, status = implied_vol(mid, forward, strike, tte, df, is_call)
    rows = np.flatnonzero(is_american & np.isfinite(mid) & np.isfinite(forward) & (tte > 0.0))
    if rows.size:
        removed, american_vol, american_status = _without_exercise(
            rows, mid, spot, strike, tte, rate, forward, is_call, dividends
        )
        premium[rows], vol[rows], status[rows] = removed, american_vol, american_status
    vol_bid, _ = implied_vol(bid - premium, forward, strike, tte, df, is_call)
    vol_ask, _ = implied_vol(ask - premium, forward, strike, tte, df, is_call)
    greeks = black_greeks(forward, strike, tte, vol, df, is_call)
    per_spot = forward / spot  # dF/dS at fixed carry
    is_otm = np.where(is_call, strike >= forward, strike < forward)
    words = {
        int(s): "solved" if s == ImpliedVolStatus.OK else s.name.lower() for s in ImpliedVolStatus
    }
    is_tradable = own["is_tradable"]
    columns = {
        # NumPy divides alike whatever else is in the frame; Polars may multiply by a reciprocal.
        "log_moneyness": np.log(np.where(strike > 0.0, strike, np.nan) / forward),
        "iv_bid": vol_bid,
        "iv_mid": vol,
        "iv_ask": vol_ask,
        "total_variance": vol * vol * tte,
        "early_exercise_premium": premium,
        "delta": greeks.delta * per_spot,
        "gamma": greeks.gamma * per_spot**2,
        "theta": greeks.theta + rate * greeks.price - carry * forward * greeks.delta,
        "vega": greeks.vega,
        "rho": greeks.rho,
    }
    return own.with_columns(
        *(pl.Series(name, values).fill_nan(None) for name, values in columns.items()),
        is_out_of_the_money=pl.Series(is_otm),
        iv_status=pl.Series([words[s] for s in status.tolist()], dtype=pl.String),
    ).with_columns(
        *(pl.when(is_tradable).then(pl.col(name)) for name in ("iv_bid", "iv_mid", "iv_ask")),
        iv_status=pl.when(is_tradable).then("iv_status").otherwise(pl.lit("not_two_sided")),
    )


def _without_exercise(
    rows: Any, mid: Array, spot: Array, strike: Array, tte: Array, rate: Array, forward: Array,
    is_call: Array, dividends: Dividends,
) -> tuple[Array, Array, Any]:  # fmt: skip
    """Early-exercise premium, vol and status of American quotes; spot is the forward if unknown."""
    from volsurf_math.american import european_equivalent

    known_spot = np.where(np.isfinite(spot), spot, forward)
    _, premium, vol, status = european_equivalent(
        mid[rows], known_spot[rows], strike[rows], tte[rows], rate[rows], forward[rows],
        is_call[rows], dividends.times, dividends.amounts,
    )  # fmt: skip
    return np.nan_to_num(premium), vol, status
