"""What is wrong with stored quotes, what they are of, how far we are from the vendor's numbers."""

from datetime import date

import polars as pl

from volsurf_resources.lake import Lake

DAYS_PER_YEAR = 365.0
_HAS_INDEX = pl.col("index_price").is_not_null()


def issues(lake: Lake, symbol: str, day: date) -> pl.DataFrame:
    """Return how many contracts of a session break each quality rule."""
    rows = lake.read("quote_issues", [day], symbols=[symbol])
    return rows.group_by("rule", "severity").len("contracts").sort("contracts", descending=True)


def is_of_marks(lake: Lake, symbol: str, day: date) -> bool:
    """Return whether a session was made of the vendor's marks instead of quotes."""
    quotes = lake.read("option_quotes", [day], columns=["price_source"], symbols=[symbol])
    return "marks" in quotes["price_source"]


def vendor_differences(lake: Lake, symbol: str, day: date) -> pl.DataFrame:
    """Return how far our vols and greeks are from the vendor's, expiry by expiry.

    Liquid out-of-the-money quotes that both have solved: median difference (ours minus the
    vendor's) and median distance, vols in vol points; vegas as USD per vol point, thetas as USD per
    day, rhos as USD per 1 % of rate. Where the vendor's greeks are of the expiry's own underlying
    (there is an index beside it), our delta and theta are taken of it too, see `_day_of_decay`.
    """
    identity = ["quote_date", "snapshot", "contract_id"]
    theirs = lake.read("raw_options_chains", [day], symbols=[symbol])
    ours = lake.read("option_quotes", [day], symbols=[symbol])
    greeks = ("vendor_iv", "vendor_delta", "vendor_vega", "vendor_theta", "vendor_rho")
    expiry = ["symbol", "quote_date", "snapshot", "root", "expiration_date"]
    spots = lake.read("implied_forwards", [day], symbols=[symbol]).select(*expiry, "spot")
    both = (
        ours.filter("is_liquid", "is_out_of_the_money", pl.col("iv_mid") > 0.0)
        .join(
            theirs.filter(pl.col("vendor_iv") > 0.0).select(*identity, "index_price", *greeks),
            on=identity,
        )
        .join(spots, on=expiry, how="left")
    )
    vol = 100.0 * (pl.col("iv_mid") - pl.col("vendor_iv"))
    of_underlying = pl.when(_HAS_INDEX).then(pl.col("spot") / pl.col("forward")).otherwise(1.0)
    delta = pl.col("delta") * of_underlying - pl.col("vendor_delta")
    vega = (pl.col("vega") - pl.col("vendor_vega")) / 100.0
    theta = _day_of_decay() - pl.col("vendor_theta") / DAYS_PER_YEAR
    rho = (pl.col("rho") - pl.col("vendor_rho")) / 100.0
    return (
        both.group_by("root", "expiration_date")
        .agg(
            quotes=pl.len(),
            vol_difference=vol.median(),
            vol_distance=vol.abs().median(),
            delta_distance=delta.abs().median(),
            vega_distance=vega.abs().median(),
            theta_distance=theta.abs().median(),
            rho_distance=rho.abs().median(),
        )
        .sort("expiration_date", "root")
    )


def _day_of_decay() -> pl.Expr:
    """Our theta in USD per day; as Deribit has it where there is an index beside the underlying.

    That is the rate of decay of Black on the expiry's own underlying, for a day or for what is left
    of one, and never more than the premium itself.
    """
    carry = (pl.col("forward") / pl.col("spot")).log() / pl.col("tte_years")
    of_underlying = pl.col("theta") + carry * pl.col("spot") * pl.col("delta")
    ahead = pl.min_horizontal(1.0 / DAYS_PER_YEAR, "tte_years")
    premium = pl.col("price") * pl.col("unit_value")
    deribit = pl.max_horizontal(of_underlying * ahead, -premium)
    return pl.when(_HAS_INDEX).then(deribit).otherwise(pl.col("theta") / DAYS_PER_YEAR)
