"""What is wrong with stored quotes, and how far we are from the vendor's numbers."""

from datetime import date

import polars as pl

from volsurf_resources.lake import Lake


def issues(lake: Lake, symbol: str, day: date) -> pl.DataFrame:
    """Return how many contracts of a session break each quality rule."""
    rows = lake.read("quote_issues", [day], symbols=[symbol])
    return rows.group_by("rule", "severity").len("contracts").sort("contracts", descending=True)


def vendor_differences(lake: Lake, symbol: str, day: date) -> pl.DataFrame:
    """Return how far our vols and deltas are from the vendor's, expiry by expiry.

    Liquid out-of-the-money quotes that both have solved: median difference (ours minus the
    vendor's) and median distance, vols in vol points. Where the vendor's greeks are of the expiry's
    own underlying, our delta is taken of it too; vegas are compared as USD per vol point.
    """
    identity = ["quote_date", "snapshot", "contract_id"]
    theirs = lake.read("raw_options_chains", [day], symbols=[symbol])
    ours = lake.read("option_quotes", [day], symbols=[symbol])
    both = ours.filter("is_liquid", "is_out_of_the_money", pl.col("iv_mid") > 0.0).join(
        theirs.filter(pl.col("vendor_iv") > 0.0).select(
            *identity, "vendor_iv", "vendor_delta", "vendor_vega", "index_price"
        ),
        on=identity,
    )
    vol = 100.0 * (pl.col("iv_mid") - pl.col("vendor_iv"))
    of_underlying = (pl.col("index_price") / pl.col("forward")).fill_null(1.0)
    delta = pl.col("delta") * of_underlying - pl.col("vendor_delta")
    vega = (pl.col("vega") - pl.col("vendor_vega")) / 100.0
    return (
        both.group_by("root", "expiration_date")
        .agg(
            quotes=pl.len(),
            vol_difference=vol.median(),
            vol_distance=vol.abs().median(),
            delta_distance=delta.abs().median(),
            vega_distance=vega.abs().median(),
        )
        .sort("expiration_date", "root")
    )
