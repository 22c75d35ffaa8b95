"""Questions to the lake, answered as frames: one module per topic.

Belongs here: every look at stored tables that the app takes. Nothing is written, and nothing is
computed that a table holds. Not here: how an answer is printed or drawn.
"""

from volsurf_app.queries.absence import NotStored, listed
from volsurf_app.queries.contents import table_names, table_rows
from volsurf_app.queries.holdings import (
    Lakes,
    coverage,
    first_and_last,
    holds,
    last_writes,
    open_lake,
    open_lakes,
    symbols,
)
from volsurf_app.queries.logs import api_calls, last_run
from volsurf_app.queries.models import heston, model_scores
from volsurf_app.queries.pictures import SmilePicture, smile_picture, smile_pictures
from volsurf_app.queries.quality import is_of_marks, issues, vendor_differences
from volsurf_app.queries.snapshots import expiries, price_unit, sessions_until, strikes
from volsurf_app.queries.surfaces import fit_summary, overview, smiles, term_structure
from volsurf_app.queries.variance import premium, premium_by_tenor

__all__ = [
    "Lakes",
    "NotStored",
    "SmilePicture",
    "api_calls",
    "coverage",
    "expiries",
    "first_and_last",
    "fit_summary",
    "heston",
    "holds",
    "is_of_marks",
    "issues",
    "last_run",
    "last_writes",
    "listed",
    "model_scores",
    "open_lake",
    "open_lakes",
    "overview",
    "premium",
    "premium_by_tenor",
    "price_unit",
    "sessions_until",
    "smile_picture",
    "smile_pictures",
    "smiles",
    "strikes",
    "symbols",
    "table_names",
    "table_rows",
    "term_structure",
    "vendor_differences",
]
