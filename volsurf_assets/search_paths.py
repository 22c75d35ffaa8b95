"""How the search of each smile went, and what the stored fit leaves: for those who doubt it.

Belongs here: stored quotes and fits to rows of text. Not here: the search (volsurf_math), or what
of a fit is stored (`smiles`).
"""

from dataclasses import asdict
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from volsurf_assets.smile_points import points_of, points_to_fit
from volsurf_assets.smile_quality import PARAMETERS, variance
from volsurf_resources.lake import Lake
from volsurf_resources.settings import Settings
from volsurf_tables.surfaces import IS_STANDARD


def write_search_paths(
    lake: Lake, settings: Settings, symbol: str, day: date, folder: Path
) -> list[Path]:
    """Write two CSV files of a day's official snapshot: every descent, and every residual."""
    quotes = lake.read("option_quotes", [day], symbols=[symbol])
    smiles = lake.read("fitted_surfaces", [day], symbols=[symbol]).filter(IS_STANDARD)
    chosen = points_to_fit(quotes, settings)
    searched, missed = [], []
    for smile in smiles.sort("root", "expiration_date").iter_rows(named=True):
        same = [pl.col(name) == smile[name] for name in ("root", "expiration_date")]
        own = chosen.filter(*same).sort("log_moneyness")
        expiry = pl.DataFrame({name: [smile[name]] for name in ("root", "expiration_date")})
        searched += [expiry.join(rows, how="cross") for rows in _search(own, expiry, settings)]
        missed.append(_residuals(own, smile))
    found = {"search": searched, "residuals": missed}
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / f"{symbol}_{day}_svi_{name}.csv" for name in found]
    for path, frames in zip(written, found.values(), strict=True):
        (pl.concat(frames) if frames else pl.DataFrame()).write_csv(path)
    return written


def _search(own: pl.DataFrame, expiry: pl.DataFrame, settings: Settings) -> list[pl.DataFrame]:
    """Where the search of one expiry began and where each beginning led, cheapest start first."""
    from volsurf_math.smiles.svi_trace import descents

    points = points_of(own, expiry, settings)
    rows = [
        {name: value for name, value in asdict(one).items() if name != "smile"} | asdict(one.smile)
        for one in descents(points.k, points.total_variance, points.weight)
    ]
    return [pl.DataFrame(rows).with_row_index("start")] if rows else []


def _residuals(own: pl.DataFrame, smile: dict[str, object]) -> pl.DataFrame:
    """Return the quotes that a smile was fitted to, with what it misses them by."""
    k, tte = (own[name].to_numpy() for name in ("log_moneyness", "tte_years"))
    parameters = np.array([smile[name] for name in PARAMETERS], dtype=np.float64)
    model = 100.0 * np.sqrt(variance(k, parameters) / tte)
    columns = ("strike", "log_moneyness", "iv_bid", "iv_mid", "iv_ask")
    return own.select("root", "expiration_date", "contract_id", *columns).with_columns(
        miss_vol_points=(pl.Series(model) - 100.0 * pl.col("iv_mid")).fill_nan(None)
    )
