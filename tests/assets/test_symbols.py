"""Two symbols in one lake: neither changes a byte of what is computed of the other."""

from datetime import date

import pytest

from tests.assets.pipeline import settings_of, simulated_lake
from volsurf_assets.graph import RECIPES

DAYS = [date(2025, 8, 6)]


@pytest.fixture(scope="module")
def lakes(tmp_path_factory):
    return {
        symbols: simulated_lake(tmp_path_factory.mktemp("_".join(symbols)), DAYS, symbols=symbols)[
            0
        ]
        for symbols in (("SPY",), ("QQQ", "SPY"))
    }


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.table.name)
def test_a_symbol_is_the_same_alone_and_among_others(lakes, recipe):
    alone, among = lakes["SPY",], lakes["QQQ", "SPY"]
    for day in DAYS:
        content = alone.content_hash(recipe.table.name, day, "SPY")
        assert content is not None
        assert among.content_hash(recipe.table.name, day, "SPY") == content
        assert among.content_hash(recipe.table.name, day, "QQQ") not in (None, content)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.table.name)
def test_making_one_symbol_again_changes_nothing(lakes, recipe):
    lake = lakes["QQQ", "SPY"]
    settings = settings_of(lake.root.parent)
    for symbols in (["SPY"], ["QQQ"], []):
        written = recipe.refresh(lake, settings, DAYS[-1], symbols=symbols, force=True)
        assert not written.changed, symbols
