"""How models compare, and the models whose parameters hold for a whole session.

Belongs here: scores, Heston. Not here: smiles, expiry by expiry (`surfaces`).
"""

from datetime import date

import polars as pl

from volsurf_resources.lake import Lake


def model_scores(lake: Lake, symbol: str, day: date) -> pl.DataFrame:
    """Return a session's scores, a row per model, the best first and those without rank last."""
    rows = lake.read("model_scores", [day], symbols=[symbol])
    return rows.sort("rank", "model_type", nulls_last=True)


def heston(lake: Lake, symbol: str, day: date) -> pl.DataFrame:
    """Return Heston's model of a session."""
    return lake.read("heston_surfaces", [day], symbols=[symbol])
