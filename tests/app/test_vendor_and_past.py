"""Ours beside the vendor's, implied beside what came after, and what the last run came to."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from tests.assets.handmade import DAY, expiry, flat_curve, in_days, lake_of
from volsurf_app import queries
from volsurf_resources.exchange_calendar import last_sessions
from volsurf_resources.lake import Lake
from volsurf_tables.variance import REALIZED_VOLATILITY, VRP_METRICS


def test_vendor_differences_are_medians_over_liquid_quotes(tmp_path):
    chain = expiry(in_days(30), vol=0.2, vendor_iv=0.195, vendor_delta=0.0)
    lake, _ = lake_of(tmp_path, chain, flat_curve(), only=["implied_forwards", "option_quotes"])
    (row,) = queries.vendor_differences(lake, "SPX", DAY).iter_rows(named=True)
    assert row["vol_difference"] == pytest.approx(0.5, abs=0.05)
    assert row["vol_distance"] == pytest.approx(0.5, abs=0.05)
    assert 0.0 < row["delta_distance"] < 0.5
    assert row["quotes"] == lake.read("option_quotes").filter(
        "is_liquid", "is_out_of_the_money"
    ).height  # fmt: skip


def test_what_came_after_is_known_21_sessions_later(tmp_path):
    days = last_sessions(date(2026, 11, 18), 30)
    lake = Lake(tmp_path / "lake")
    for n, day in enumerate(days):
        named = {"symbol": "SPY", "quote_date": day, "snapshot": "EOD"}
        for table, column in ((VRP_METRICS, "implied_vol_30d"), (REALIZED_VOLATILITY, "rv_21d")):
            row = pl.DataFrame([named | {column: 0.2 + n / 1000}])
            if table is VRP_METRICS:
                row = row.with_columns(model_free_variance_30d=0.05)
            empty = table.schema.to_frame()
            lake.replace(table.name, day, pl.concat([empty, row], how="diagonal"))
    found = lake.sql("FROM vrp_ex_post ORDER BY quote_date")
    assert found["quote_date"].to_list() == days[:9]
    assert found["known_on"].to_list() == days[21:]
    assert found["ex_post_vrp_30d"].to_list() == pytest.approx([-0.021] * 9)
    realised = [0.2 + n / 1000 for n in range(21, 30)]
    premium = found["ex_post_variance_premium_30d"].to_list()
    assert premium == pytest.approx([0.05 - vol**2 for vol in realised])


def test_the_last_run_is_told(volsurf, filled_home):
    code, said, _ = volsurf("status")
    assert code == 0
    assert "last run: " in said
    when, told = queries.last_run(filled_home / "logs" / "volsurf.log")
    assert datetime.fromisoformat(when).replace(tzinfo=UTC) <= datetime.now(UTC)
    assert told.startswith("SPY: ")


def test_a_lake_without_vendor_vols_says_so(volsurf, filled_home):
    day = Lake(filled_home / "lake").days("option_quotes")[-1]
    code, said, _ = volsurf("analyze", "vendor", "--date", day)
    assert code == 1
    assert "has a vol of the vendor's beside ours" in said
