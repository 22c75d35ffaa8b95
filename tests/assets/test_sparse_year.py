"""All sessions of a year with about twenty contracts each: nothing fails, little can be fitted."""

import os
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from tests.assets.pipeline import fill, make, settings_of
from volsurf_resources.archive import Archive
from volsurf_resources.lake import Lake

pytestmark = pytest.mark.skipif(
    "VOLSURF_REAL_DATA" not in os.environ, reason="VOLSURF_REAL_DATA names no folder of real data"
)


@pytest.fixture(scope="module")
def sparse(tmp_path_factory):
    settings = settings_of(tmp_path_factory.mktemp("sparse"))
    source, lake = Archive(Path(os.environ["VOLSURF_REAL_DATA"])), Lake(settings.lake_root)
    days = source.sessions("SPY", date(2021, 1, 1), date(2021, 12, 31))
    fill(lake, source, settings, days, ["SPY"])
    make(lake, settings, days)
    return lake


def test_every_session_of_a_sparse_year_lands(sparse):
    for table in sparse.tables:
        assert len(sparse.days(table.name)) == 252, table.name


def test_what_cannot_be_fitted_is_skipped_with_a_reason(sparse):
    skipped = sparse.read("fitted_surfaces").filter(pl.col("status") == "skipped")
    assert skipped.height > 200
    assert skipped["reason"].str.contains("strikes to fit, needs 10").mean() > 0.9


def test_windows_of_a_sparse_year_fill(sparse):
    realised = sparse.read("realized_volatility")
    assert realised["rv_21d"].is_null().sum() == 21  # a return needs two closes
    assert realised["rv_63d"].is_not_null().sum() == 252 - 63
    premium = sparse.read("vrp_metrics")
    first = premium.filter(pl.col("vrp_zscore").is_not_null())["quote_date"].min()
    before = premium.filter(pl.col("quote_date") < first)["vrp_30d"].is_not_null().sum()
    assert before == 20  # VRP_MIN_HISTORY
