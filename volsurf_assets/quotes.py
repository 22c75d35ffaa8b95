"""Quotes with our own implied vols and greeks, and every finding against them.

Belongs here: frame to arrays, the maths of Black and of early exercise, arrays to frame. Not here:
the rules of one row (`quality`), or forwards (`forwards`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from volsurf_assets.dividends import DIVIDEND_HISTORY, Dividends, expected_dividends
from volsurf_assets.forwards import EXPIRY, SECONDS_PER_YEAR
from volsurf_assets.pictures import sparkline
from volsurf_assets.price_units import with_underlying, with_unit_value
from volsurf_assets.quality import (
    IS_TRADABLE,
    MID,
    PRICES,
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
    code_version="5",
    picture=lambda rows: sparkline(rows.filter("is_liquid")["iv_mid"]),
)
def option_quotes(session: Session) -> pl.DataFrame:
    """Solve every two-sided quote for its price's vol, and mark which are fit for fitting."""
    settings = session.settings
    chain = with_forwards(session.read(RAW_OPTIONS_CHAINS), session.read(IMPLIED_FORWARDS))
    chain = with_price(chain, settings.price_source)
    history = session.window(UNDERLYING_PRICES, DIVIDEND_HISTORY)
    solved = [
        _solve(own, expected_dividends(history, str(symbol), session.day))
        for (symbol, _), own in chain.group_by("symbol", "snapshot", maintain_order=True)
    ]
    if not solved:
        return OPTION_QUOTES.schema.to_frame()
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
    """Join each contract with its expiry's forward; the time left counts from the row's quote.

    So does `own_forward`, at which its vol is solved; the chain's others are at one `forward`.
    """
    known = forwards.select(*EXPIRY, "expiry_time", *FROM_FORWARDS)
    left = (pl.col("expiry_time") - pl.col("quote_time")).dt.total_microseconds() / 1e6
    joined = with_underlying(chain).join(known, on=EXPIRY, how="left", maintain_order="left")
    return with_unit_value(joined).with_columns(
        tte_years=pl.coalesce(left / SECONDS_PER_YEAR, "tte_years"),
        mid=pl.when(IS_TRADABLE.fill_null(False)).then(MID),
        is_tradable=IS_TRADABLE.fill_null(False),
    )


def with_price(quotes: pl.DataFrame, source: str) -> pl.DataFrame:
    """Add the `price` that a two-sided quote is solved from, and which source it is of."""
    price = pl.when("is_tradable").then(PRICES[source])
    return quotes.with_columns(price=price, price_source=pl.lit(source))


@dataclass(frozen=True, slots=True)
class Terms:
    """What a formula takes of each quote: its contract, its expiry, the underlying."""

    forward: Array
    own_forward: Array  # when it was quoted
    strike: Array
    tte: Array
    discount_factor: Array
    rate: Array
    carry: Array
    spot: Array
    is_call: Array

    def vol(self, price: Array) -> tuple[Array, Any]:
        """Implied vol and status of European premiums."""
        from volsurf_math.implied_vol import implied_vol

        return implied_vol(
            price, self.own_forward, self.strike, self.tte, self.discount_factor, self.is_call
        )


def _terms(own: pl.DataFrame) -> Terms:
    def column(name: str) -> Array:
        return own[name].cast(pl.Float64).to_numpy()

    return Terms(
        forward=column("forward"),
        own_forward=column("own_forward"),
        strike=column("strike"),
        tte=column("tte_years"),
        discount_factor=column("discount_factor"),
        rate=column("implied_rate"),
        carry=column("implied_carry"),
        spot=column("spot"),
        is_call=(own["option_type"] == "CALL").to_numpy(),
    )


def _solve(own: pl.DataFrame, dividends: Dividends) -> pl.DataFrame:
    """Add vols and greeks to one underlying's chain."""
    terms = _terms(own)
    price, bid, ask = (
        own[name].cast(pl.Float64).to_numpy() * own["unit_value"].to_numpy()
        for name in ("price", "bid", "ask")
    )
    premium = np.zeros(own.height)
    vol, status = terms.vol(price)
    is_american = (own["exercise_style"] == "american").to_numpy()
    is_priced = np.isfinite(price) & np.isfinite(terms.forward) & (terms.tte > 0.0)
    if (rows := np.flatnonzero(is_american & is_priced)).size:
        found = _without_exercise(rows, price, terms, dividends)
        premium[rows], vol[rows], status[rows] = found
    # NumPy divides alike whatever else is in the frame; Polars may multiply by a reciprocal.
    moneyness = np.log(np.where(terms.strike > 0.0, terms.strike, np.nan) / terms.forward)
    columns = {
        "log_moneyness": moneyness,
        "iv_bid": terms.vol(bid - premium)[0],
        "iv_mid": vol,
        "iv_ask": terms.vol(ask - premium)[0],
        "total_variance": vol * vol * terms.tte,
        "early_exercise_premium": premium,
        **_greeks(terms, vol),
    }
    at_or_above = terms.strike >= terms.forward
    below = terms.strike < terms.forward
    is_tradable = own["is_tradable"]
    why_not = pl.when("is_tradable").then(pl.lit("no_mark")).otherwise(pl.lit("not_two_sided"))
    return own.with_columns(
        *(pl.Series(name, values).fill_nan(None) for name, values in columns.items()),
        is_out_of_the_money=pl.Series(np.where(terms.is_call, at_or_above, below)),
        iv_status=_words(status),
    ).with_columns(
        *(pl.when(is_tradable).then(pl.col(name)) for name in ("iv_bid", "iv_mid", "iv_ask")),
        iv_status=pl.when(pl.col("price").is_not_null()).then("iv_status").otherwise(why_not),
    )


def _greeks(terms: Terms, vol: Array) -> dict[str, Array]:
    """Greeks on the spot at fixed rate and carry, theta with the passing of a year."""
    from volsurf_math.greeks import black_greeks, on_spot

    of_forward = black_greeks(
        terms.forward, terms.strike, terms.tte, vol, terms.discount_factor, terms.is_call
    )
    greeks = on_spot(
        of_forward, spot=terms.spot, forward=terms.forward, rate=terms.rate, carry=terms.carry
    )
    names = ("delta", "gamma", "theta", "vega", "rho")
    return {name: getattr(greeks, name) for name in names}


def _words(status: Any) -> pl.Series:
    """Say the status of implied vols in the words of the table."""
    from volsurf_math.implied_vol import ImpliedVolStatus

    words = {int(s): s.name.lower() for s in ImpliedVolStatus} | {
        int(ImpliedVolStatus.OK): "solved"
    }
    return pl.Series([words[s] for s in status.tolist()], dtype=pl.String)


def _without_exercise(
    rows: Any, price: Array, terms: Terms, dividends: Dividends
) -> tuple[Array, Array, Any]:
    """Early-exercise premium, vol and status of American quotes; spot is the forward if unknown."""
    from volsurf_math.american import european_equivalent

    known_spot = np.where(np.isfinite(terms.spot), terms.spot, terms.forward)
    _, premium, vol, status = european_equivalent(
        price[rows], known_spot[rows], terms.strike[rows], terms.tte[rows], terms.rate[rows],
        terms.forward[rows], terms.is_call[rows], dividends.times, dividends.amounts,
    )  # fmt: skip
    return np.nan_to_num(premium), vol, status
