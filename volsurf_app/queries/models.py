"""How models compare, which of them a session was fitted with, and their rows.

Belongs here: scores, Heston, rows of any model whichever table holds them. Not here: what follows
from smiles (`surfaces`, `diagnostics`).
"""

from collections.abc import Sequence
from datetime import date

import polars as pl

from volsurf_app.kept_rows import kept_rows
from volsurf_resources.lake import Lake
from volsurf_tables.models import OWN_TABLES, SMILE_MODELS, table_of

MODEL_TABLES = tuple(dict.fromkeys(t.name for t in (*OWN_TABLES.values(), SMILE_MODELS)))


def model_scores(lake: Lake, symbol: str, day: date) -> pl.DataFrame:
    """Return a session's scores, a row per model, the best first and those without rank last."""
    rows = lake.read("model_scores", [day], symbols=[symbol])
    return rows.sort("rank", "model_type", nulls_last=True)


def heston(lake: Lake, symbol: str, day: date) -> pl.DataFrame:
    """Return Heston's model of a session."""
    return lake.read("heston_surfaces", [day], symbols=[symbol])


def stored_models(lake: Lake, symbol: str, day: date, snapshot: str = "EOD") -> list[str]:
    """Return the models that a session was fitted with and that a surface can be read of."""
    from volsurf_app.finding_surfaces import MODELS  # loads compiled maths

    found: set[str] = set()
    for table in MODEL_TABLES:
        for kept in kept_rows(lake, table, symbol, [day], snapshot=snapshot).values():
            rows = kept.rows
            if "model_type" in rows.columns:
                found.update(rows["model_type"].unique())
            elif not rows.is_empty():
                found.update(name for name, own in OWN_TABLES.items() if own.name == table)
    return [name for name in MODELS if name in found]


def model_rows(lake: Lake, symbol: str, days: Sequence[date], model: str) -> pl.DataFrame:
    """Return what the tables hold of one model's fits, with `model_type`."""
    rows = lake.read(table_of(model).name, days, symbols=[symbol])
    if "model_type" in rows.columns:
        return rows.filter(pl.col("model_type") == model)
    return rows.with_columns(model_type=pl.lit(model))
