"""Chains that make no sense go through every table: rows with reasons, and nothing else harmed."""

import shutil

import numpy as np
import polars as pl
import pytest

from tests.assets.handmade import DAY, SPOT, alter, bars, expiry, in_days, put
from tests.assets.pipeline import make, settings_of
from volsurf_assets.graph import RECIPES
from volsurf_resources.exchange_calendar import previous_session
from volsurf_resources.lake import Lake

NAN = float("nan")
YESTERDAY = previous_session(DAY)
ALL = pl.lit(True)


def good(day=DAY):
    return pl.concat([expiry(in_days(n), 0.2, day=day) for n in (20, 50, 110)])


BAD = {
    "one expiry only": good().filter(pl.col("expiration_date") == in_days(50)),
    "calls only": good().filter(pl.col("option_type") == "CALL"),
    "puts only": good().filter(pl.col("option_type") == "PUT"),
    "one contract": good().head(1),
    "all expired": alter(good(), ALL, expiration_date=in_days(-3)),
    "no quotes": alter(good(), ALL, bid=0.0, ask=0.0),
    "no prices": alter(good(), ALL, bid=None, ask=None),
    "prices that are no numbers": alter(good(), ALL, bid=NAN, ask=NAN),
    "negative prices": alter(good(), ALL, bid=-1.0, ask=-0.5),
    "all crossed": alter(good(), ALL, bid=pl.col("ask") + 1.0),
    "all the same price": alter(good(), ALL, bid=1.0, ask=1.1),
    "spot of zero": alter(good(), ALL, underlying_price=0.0),
    "no spot": alter(good(), ALL, underlying_price=None),
    "infinite prices": alter(good(), ALL, ask=float("inf")),
    "strikes of zero": alter(good(), pl.col("strike") < 90.0, strike=0.0),
    "quotes of yesterday": alter(good(), ALL, quote_time=good(YESTERDAY)["quote_time"][0]),
    "no quote time": alter(good(), ALL, quote_time=None),
    "american": alter(good(), ALL, exercise_style="american"),
    "american without spot": alter(
        good(), ALL, exercise_style="american", underlying_price=None
    ),
    "every contract twice": pl.concat(
        [good(), good().with_columns(contract_id=pl.col("contract_id") + "#2", bid=0.01)]
    ),
    "adjusted": alter(good(), ALL, is_adjusted=True),
    "absurd prices": alter(good(), ALL, bid=1e6, ask=1e6 + 1.0),
}  # fmt: skip


@pytest.fixture(scope="module")
def good_home(tmp_path_factory):
    """A lake of one good session."""
    settings = settings_of(tmp_path_factory.mktemp("good"))
    lake = Lake(settings.lake_root)
    put(lake, good(YESTERDAY), bars([SPOT, SPOT]))
    make(lake, settings, [YESTERDAY])
    return settings.volsurf_home


@pytest.mark.parametrize("name", BAD)
def test_a_bad_chain_gives_rows_with_reasons_and_harms_nothing_else(tmp_path, good_home, name):
    shutil.copytree(good_home, tmp_path, dirs_exist_ok=True)
    settings = settings_of(tmp_path)
    lake = Lake(settings.lake_root)
    before = {r.table.name: lake.content_hash(r.table.name, YESTERDAY) for r in RECIPES}
    put(lake, BAD[name])
    make(lake, settings, [DAY])
    for table, content in before.items():
        assert lake.content_hash(table, YESTERDAY) == content
    quotes = lake.read("option_quotes", [DAY])
    assert quotes.height == BAD[name].height
    assert (quotes["is_liquid"] == quotes["reject_reason"].is_null()).all()
    for table in ("implied_forwards", "fitted_surfaces", "heston_surfaces", "surface_points"):
        rows = lake.read(table, [DAY])
        is_fine = rows["status"].is_in(["estimated", "fitted", "interpolated"])
        assert rows.height > 0
        assert rows.filter(~is_fine)["reason"].is_not_null().all(), table
    for recipe in RECIPES:
        for day in (YESTERDAY, DAY) if recipe.picture else ():
            assert isinstance(recipe.picture(lake.read(recipe.table.name, [day])), str)
        numbers = lake.read(recipe.table.name, [DAY]).drop("bid", "ask", "mid", strict=False)
        for column in numbers.select(pl.selectors.float()).iter_columns():
            values = column.drop_nulls().to_numpy()
            assert np.isfinite(values).all(), f"{recipe.table.name}.{column.name}"
