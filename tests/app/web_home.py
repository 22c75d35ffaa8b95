"""A home for the pages: two computed sessions, and before them sessions made for the purpose.

The demo's sessions are real output of the pipeline. The earlier ones hold a stub of a chain, a bar,
a premium and a realised volatility, so that histories and the ex-post premium have a past, and one
smile with arbitrage, which the pipeline does not leave behind.
"""

import math
import shutil
from pathlib import Path

import polars as pl

from volsurf_resources.exchange_calendar import last_sessions
from volsurf_resources.lake import Lake

MADE = 30  # sessions


def fill(home: Path, source: Path) -> Lake:
    """Copy a home and put made sessions before its own; return its lake."""
    shutil.copytree(source, home, dirs_exist_ok=True)
    lake = Lake(home / "lake")
    first = lake.days("raw_options_chains", "SPY")[0]
    chain = lake.read("raw_options_chains", [first]).head(3)
    premium = lake.read("vrp_metrics", [first])
    realised = lake.read("realized_volatility", [first])
    made = last_sessions(first, MADE + 1)[:-1]
    for n, day in enumerate(made):
        on = pl.lit(day).alias("quote_date")
        implied, past = 0.2 + 0.02 * math.sin(n), 0.15 + 0.02 * math.cos(2 * n)
        lake.replace("raw_options_chains", day, chain.with_columns(on))
        vols = {"implied_vol_30d": implied, "realized_vol_30d": past, "vrp_30d": implied - past}
        row = premium.with_columns(on, **{name: pl.lit(x) for name, x in vols.items()})
        lake.replace("vrp_metrics", day, row)
        lake.replace("realized_volatility", day, realised.with_columns(on, rv_21d=pl.lit(past)))
    _add_arbitrage(lake, first)
    return lake


def _add_arbitrage(lake: Lake, day: object) -> None:
    """Store, one session earlier, the smiles of `day` with violations in two of them."""
    rows = lake.read("fitted_surfaces", [day])
    before = lake.days("raw_options_chains", "SPY")[MADE - 1]
    place = pl.int_range(pl.len()).over("model_type")
    is_bad = (pl.col("status") == "fitted") & place.is_in([8, 9])
    found = {"butterfly_arbitrage_violations": 3, "calendar_arbitrage_violations": 1}
    changed = {
        name: pl.when(is_bad).then(pl.lit(n, pl.Int32)).otherwise(name) for name, n in found.items()
    }
    changed["passes_no_arbitrage"] = ~is_bad & pl.col("passes_no_arbitrage")
    on = pl.lit(before).alias("quote_date")
    lake.replace("fitted_surfaces", before, rows.with_columns(on, **changed))
