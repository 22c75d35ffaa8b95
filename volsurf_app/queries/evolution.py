"""How a surface's numbers move from session to session, at constant maturity.

Belongs here: series of stored points and parameters. Not here: the premium (`variance`).
"""

import json
from collections.abc import Sequence
from datetime import date

import polars as pl

from volsurf_app.queries.models import model_rows
from volsurf_resources.lake import Lake
from volsurf_tables.stochastic_vol import HESTON_PARAMETERS
from volsurf_tables.surface_slices import HAS_SMILE, best_first

PARAMETERS = ("svi_a", "svi_b", "svi_rho", "svi_m", "svi_sigma")
PARAMETERS_OF = {
    "SVI": PARAMETERS,
    "SSVI": PARAMETERS,
    "SABR": ("alpha", "rho", "nu"),
    "HESTON": HESTON_PARAMETERS,
}
SHAPE = ("atm_vol", "skew_25delta")


def constant_maturity(
    lake: Lake, symbol: str, days: Sequence[date], model_type: str
) -> pl.DataFrame:
    """Return quote_date, tenor_days, atm_vol, skew_25delta, butterfly_25delta, in decimals.

    Null where quotes support no value, so that gaps stay visible.
    """
    points = lake.read("surface_points", days, symbols=[symbol])
    points = points.filter(pl.col("model_type") == model_type)

    def at(axis: str, coordinate: float) -> pl.Expr:
        is_there = (pl.col("axis") == axis) & (pl.col("coordinate") == coordinate)
        return pl.col("implied_vol").filter(is_there).first()

    put, call, atm = at("delta", -0.25), at("delta", 0.25), at("log_moneyness", 0.0)
    found = points.group_by("quote_date", "tenor_days", maintain_order=True)
    series = found.agg(
        atm_vol=atm, skew_25delta=put - call, butterfly_25delta=0.5 * (put + call) - atm
    )
    tenors = series.select("tenor_days").unique()
    asked = pl.DataFrame({"quote_date": list(days)}, schema={"quote_date": pl.Date})
    place = ["quote_date", "tenor_days"]
    return asked.join(tenors, how="cross").join(series, on=place, how="left").sort(place)


def parameters_near(
    lake: Lake, symbol: str, days: Sequence[date], model_type: str, tenor_days: int
) -> pl.DataFrame:
    """Return, per session, the smile whose expiry is nearest to a tenor, with its parameters.

    Its own vol at the forward and its skew stand beside them. Of Heston's model, which is one law
    for all expiries, the law.
    """
    fits = model_rows(lake, symbol, days, model_type).filter(HAS_SMILE)
    ends = ("rmse", "status")
    if "expiration_date" not in fits.columns:
        return with_gaps(fits.select("quote_date", *PARAMETERS_OF[model_type], *ends), days)
    ahead = (pl.col("expiration_date") - pl.col("quote_date")).dt.total_days()
    nearest = best_first(fits.with_columns(days=ahead)).sort(
        "quote_date", (pl.col("days") - tenor_days).abs(), maintain_order=True
    )
    chosen = nearest.unique("quote_date", keep="first", maintain_order=True)
    names = PARAMETERS_OF.get(model_type)
    if names is None:
        rows = [told_parameters(text) for text in chosen["parameters"]]
        told = pl.DataFrame(rows, infer_schema_length=None)
        names = tuple(name for name in told.columns if name not in chosen.columns)
        chosen = chosen.hstack(told.select(names))
    place = ("quote_date", "root", "expiration_date", "days", *SHAPE)
    return with_gaps(chosen.select(*place, *names, *ends), days)


def told_parameters(text: str) -> dict[str, float]:
    """Return parameters that are stored as JSON by name; of a list, one for each place."""
    parts = {name: x if isinstance(x, list) else [x] for name, x in json.loads(text).items()}
    return {f"{name}{i or ''}": v for name, values in parts.items() for i, v in enumerate(values)}


def power_laws(lake: Lake, symbol: str, days: Sequence[date]) -> pl.DataFrame:
    """Return the power laws of the term structure, session by session."""
    return with_gaps(lake.read("term_structure_params", days, symbols=[symbol]), days)


def forward_vols(fits: pl.DataFrame) -> pl.DataFrame:
    """Return start_days, end_days, forward_vol between neighbouring expiries of one session.

    `fits` are the slices of one surface; of two roots with one expiry date the one with more quotes
    stands, because hours between them would tell of noise. Null where total variance at the
    forward falls: there is calendar arbitrage.
    """
    fits = best_first(fits).unique("expiration_date", keep="first").sort("tte_years")
    ahead = (pl.col("expiration_date") - pl.col("quote_date")).dt.total_days()
    rows = fits.with_columns(days=ahead, variance=pl.col("atm_vol") ** 2 * pl.col("tte_years"))
    gained = pl.col("variance") - pl.col("variance").shift(1)
    years = pl.col("tte_years") - pl.col("tte_years").shift(1)
    return rows.select(
        start_days=pl.col("days").shift(1),
        end_days="days",
        forward_vol=pl.when(gained >= 0.0).then((gained / years).sqrt()),
    ).drop_nulls("start_days")


def with_gaps(rows: pl.DataFrame, days: Sequence[date]) -> pl.DataFrame:
    """Return rows in order of days, nulls on a day without a row, so that a line breaks there."""
    asked = pl.DataFrame({"quote_date": list(days)}, schema={"quote_date": pl.Date})
    return asked.join(rows, on="quote_date", how="left").sort("quote_date")
