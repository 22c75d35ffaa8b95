"""What a price of a chain is in, said once: dollars, or the coin that the option settles in.

Belongs here: turning prices into dollars, and what that needs of the underlying. Not here: vols.

A coin-settled option pays max(S - K, 0) / S of the coin: its price c is worth c F dollars, F the
forward of its expiry, and parity is c - p = 1 - K / F at the exchange's rate of 0. Both hold at
the time of the quote. Each quote of such a chain comes with its expiry's own underlying U at that
time, so the forward then is F U / U*, with U* the median over the expiry that F belongs to.
"""

import polars as pl

COIN = "coin"
IN_COIN = pl.col("price_unit") == COIN
_EXPIRY = ("symbol", "quote_date", "snapshot", "root", "expiration_date")
_OWN = pl.when(pl.col("underlying_price") > 0.0).then("underlying_price")


def with_underlying(chain: pl.DataFrame) -> pl.DataFrame:
    """Add `drift`, U / U*, and `worth`, what a price of 1 is taken for until there is a forward.

    `worth` is the underlying U* where prices are in coin (null if none is known), else 1.
    """
    if not chain.select(IN_COIN.any()).item():
        return chain.with_columns(worth=pl.lit(1.0), drift=pl.lit(1.0))
    known = pl.coalesce(_OWN.median().over(_EXPIRY), pl.col("index_price").median().over(_EXPIRY))
    drift = pl.when(IN_COIN).then(_OWN / known).otherwise(1.0).fill_null(1.0)
    return chain.with_columns(worth=pl.when(IN_COIN).then(known).otherwise(1.0), drift=drift)


def with_unit_value(quotes: pl.DataFrame) -> pl.DataFrame:
    """Add `own_forward`, that of the quote's own time, and `unit_value`, dollars of a price of 1.

    Takes `forward` and what `with_underlying` adds.
    """
    own = pl.col("forward") * pl.col("drift")
    return quotes.with_columns(
        own_forward=own, unit_value=pl.when(IN_COIN).then(own).otherwise(1.0)
    )
