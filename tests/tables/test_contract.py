"""The tables contradict neither themselves nor each other, and keep the mission's column names."""

import re
from collections import defaultdict

import polars as pl
import pytest

from volsurf_tables.catalogue import TABLES, table
from volsurf_tables.columns import SYMBOL
from volsurf_tables.table import Column, Table
from volsurf_tables.views import VIEWS, create_views

WORD = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")

# Column names as requirements R016, R021-R027 spell them out.
MISSION_TABLES = {
    "underlying_prices": "symbol open high low close volume",
    "fitted_surfaces": """symbol quote_date expiration_date tte_years svi_a svi_b svi_rho svi_m
        svi_sigma atm_vol skew_25delta rmse mae max_error num_points passes_no_arbitrage
        butterfly_arbitrage_violations calendar_arbitrage_violations model_type model_version""",
    "term_structure_params": """symbol atm_term_a atm_term_b atm_term_rmse skew_term_a skew_term_b
        skew_term_rmse num_expirations model_type""",
    "realized_volatility": """symbol rv_10d rv_21d rv_63d rv_252d parkinson_10d parkinson_21d
        gk_10d gk_21d""",
    "vrp_metrics": "symbol vrp_30d vrp_60d vrp_90d implied_vol_30d realized_vol_30d vrp_zscore",
}
# R016 and R278-R280: exactly these columns, in this order.
MISSION_VIEWS = {
    "raw_options_chains": """chain_id symbol quote_date expiration_date strike option_type bid ask
        mid last volume open_interest delta gamma theta vega rho implied_volatility
        underlying_price is_liquid data_source ingestion_timestamp""",
    "market_prices": "time symbol price volume",
    "option_quotes": "time underlying expiration strike type bid ask IV delta gamma vega",
    "model_parameters": "time model_type underlying maturity parameters fit_quality",
    "vrp_ex_post": """symbol quote_date implied_vol_30d realized_vol_next_30d ex_post_vrp_30d
        ex_post_variance_premium_30d known_on""",
}


@pytest.mark.parametrize("contract", TABLES, ids=lambda t: t.name)
def test_a_table_is_described_completely(contract: Table):
    assert WORD.fullmatch(contract.name)
    assert contract.meaning.endswith(".")
    assert contract.date in contract.key
    assert contract.schema[contract.date] == pl.Date
    assert contract.version >= 1
    for column in contract.columns:
        assert WORD.fullmatch(column.name), column
        assert column.meaning.endswith("."), column
        assert column.unit, column
        assert column.low is None or column.high is None or column.low < column.high, column
        assert not column.one_of or column.dtype == pl.String, column
        assert not column.is_provenance or column.name not in contract.key, column
        assert column.name not in column.formerly, column


def test_tables_have_names_of_their_own():
    names = [contract.name for contract in TABLES]
    assert len(set(names)) == len(names)
    assert {table(name) for name in names} == set(TABLES)
    with pytest.raises(KeyError, match="no table 'smiles'; there are raw_options_chains, "):
        table("smiles")


def test_one_name_is_one_type_and_unit_everywhere():
    found = defaultdict(set)
    for contract in TABLES:
        for column in contract.columns:
            found[column.name].add((str(column.dtype), column.unit))
    # The mission's words: bars of an index are in points, of an underlying in USD; greeks of an
    # option share letters with the parameters of a model.
    for name in ("open", "high", "low", "close", "volume", "theta", "rho"):
        del found[name]
    assert {name: kinds for name, kinds in found.items() if len(kinds) > 1} == {}


@pytest.mark.parametrize("name", MISSION_TABLES)
def test_tables_hold_the_missions_columns(name: str):
    assert set(MISSION_TABLES[name].split()) <= set(table(name).schema)


@pytest.mark.parametrize("view", VIEWS, ids=lambda v: v.name)
def test_views_hold_exactly_the_missions_columns(view):
    assert [column.name for column in view.columns] == MISSION_VIEWS[view.name].split()
    assert set(view.reads) <= {contract.name for contract in TABLES}
    assert all(column.meaning.endswith(".") and column.unit for column in view.columns)


def test_views_wait_for_their_tables():
    made = create_views(frozenset({"underlying_prices"}), "UTC")
    assert [line.split(" AS ")[0] for line in made] == [
        "CREATE SCHEMA IF NOT EXISTS mission",
        "CREATE VIEW mission.market_prices",
        "CREATE VIEW market_prices",
    ]


def test_a_contract_that_contradicts_itself_is_refused():
    with pytest.raises(ValueError, match="t needs distinct column names"):
        Table(name="t", group="g", meaning="", key=(), columns=(SYMBOL, SYMBOL))
    with pytest.raises(ValueError, match="t needs its key and date among its columns"):
        Table(name="t", group="g", meaning="", key=("symbol",), columns=(SYMBOL,))


def test_content_and_columns_of_a_table():
    chains = table("raw_options_chains")
    assert set(chains.schema) - set(chains.content) == {"ingestion_timestamp"}
    assert chains.has_symbol
    assert not table("market_rates").has_symbol
    assert isinstance(chains.column("bid"), Column)
    with pytest.raises(KeyError, match="raw_options_chains has no column 'bit'"):
        chains.column("bit")
