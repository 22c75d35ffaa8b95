"""The pages without a browser: what they say of an address, of gaps, of nothing at all."""

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from tests.app.conftest import DAYS, set_home
from tests.app.web_home import MADE, fill
from volsurf_app import queries, surface
from volsurf_app.pages import coverage
from volsurf_app.plots import difference as difference_plots
from volsurf_app.queries import diagnostics, differences, evolution, models, sheets
from volsurf_app.queries.afterwards import premium_ex_post
from volsurf_app.queries.differences import Side
from volsurf_tables.surface_slices import surface_slices

SCRIPT = Path(__file__).parents[2] / "volsurf_app" / "pages" / "script.py"
NEWEST = DAYS[-2]  # the newest session of the filled home


@pytest.fixture(scope="module")
def lake(filled_home, tmp_path_factory):
    return fill(tmp_path_factory.mktemp("web"), filled_home)


@pytest.fixture
def look(lake, monkeypatch):
    """Return a page's run at an address."""
    set_home(monkeypatch, lake.root.parent)

    def at(**address: str) -> AppTest:
        test = AppTest.from_file(str(SCRIPT), default_timeout=60)
        for name, value in address.items():
            test.query_params[name] = value
        return test.run()

    return at


def words(test: AppTest) -> str:
    parts = (test.warning, test.info, test.caption, test.code, test.error)
    return "\n".join(str(one.value) for kind in parts for one in kind)


def test_without_an_address_the_newest_session_of_the_usual_symbol_is_shown(look, lake):
    test = look()
    assert not test.exception
    (row,) = queries.overview(lake, "SPY", [NEWEST]).rows(named=True)
    shown = {metric.label: metric.value for metric in test.metric}
    assert shown["ATM vol, 30 days"] == f"{100 * row['atm_vol_30d']:.2f} %"
    assert shown["Premium, 30 days"] == f"{100 * row['vrp_30d']:.2f} %"
    assert shown["Median fit error"] == f"{row['fit_error']:.3f} pts"
    assert test.query_params["date"] in (str(NEWEST), [str(NEWEST)])


def test_an_empty_home_says_what_to_run_and_stays_empty(tmp_path, monkeypatch):
    set_home(monkeypatch, tmp_path / "none")
    test = AppTest.from_file(str(SCRIPT), default_timeout=60).run()
    assert not test.exception
    assert "no data yet" in words(test)
    assert "volsurf demo" in words(test)
    assert not list((tmp_path / "none").iterdir())


@pytest.mark.parametrize("symbol", ["QQQ", "'; DROP TABLE x --", "../../etc", "<script>", "ß" * 99])
def test_an_unknown_symbol_is_told_with_those_there_are(look, symbol):
    test = look(symbol=symbol)
    assert not test.exception
    assert "it holds SPY" in words(test)
    assert not test.metric
    assert "<" not in words(test)
    assert "'" not in words(test)


def test_a_session_that_is_not_there_is_told_with_the_nearest(look, lake):
    test = look(date="2020-01-02")
    first = lake.days("raw_options_chains", "SPY")[0]
    assert f"{MADE + 2}, {first} to {NEWEST}" in words(test)
    assert "volsurf backfill SPY --start 2020-01-02 --end 2020-01-02" in words(test)
    assert not test.metric
    (nearest,) = (button for button in test.button if button.label.startswith("Show"))
    assert nearest.label == f"Show {first}"
    nearest.click().run()
    assert "it has not been computed yet" in words(test)


@pytest.mark.parametrize("text", ["yesterday", "2026-13-45", "", "1; --"])
def test_a_date_that_is_none_is_told(look, text):
    test = look(date=text)
    assert not test.exception
    assert "YYYY-MM-DD" in words(test)


def test_a_chain_that_is_not_fitted_yet_says_what_fits_it(look, lake):
    day = lake.days("raw_options_chains", "SPY")[0]
    test = look(date=str(day))
    assert not test.exception
    assert f"volsurf eod --symbol SPY --date {day}" in words(test)


def test_a_step_moves_date_address_and_numbers(look, lake):
    test = look()
    test.button(key="back").click().run()
    day = DAYS[-3]
    assert test.sidebar.select_slider[0].value == day
    (row,) = queries.overview(lake, "SPY", [day]).rows(named=True)
    shown = {metric.label: metric.value for metric in test.metric}
    assert shown["ATM vol, 30 days"] == f"{100 * row['atm_vol_30d']:.2f} %"


def test_ex_post_rows_were_known_by_the_session_that_is_looked_at(lake):
    days = lake.days("raw_options_chains", "SPY")
    until = days[25]
    known = premium_ex_post(lake, "SPY", until)
    assert known.height == 5  # sessions 0 to 4 have 21 sessions after them by then
    assert known["known_on"].max() == until
    realised = lake.read("realized_volatility", [until])["rv_21d"][0]
    assert known["realized_vol_next_30d"][-1] == realised
    assert premium_ex_post(lake, "SPY", days[20]).is_empty()


def test_the_list_of_arbitrage_is_the_tables(lake):
    days = lake.days("raw_options_chains", "SPY")
    found = diagnostics.arbitrage(lake, "SPY", days)
    stored = lake.read("fitted_surfaces", days, symbols=["SPY"])
    stored = stored.filter(~pl.col("passes_no_arbitrage"))
    assert stored.height > 0
    place = ("quote_date", "model_type", "expiration_date")
    own = found.filter(pl.col("model_type").is_in(["SVI", "SSVI"]))
    assert set(own.select(place).rows()) == set(stored.select(place).rows())
    for model, table in (("SABR", "sabr_smiles"), ("POLYNOMIAL", "smile_models")):
        rows = lake.read(table, days, symbols=["SPY"])
        rows = rows.filter(pl.col("butterfly_arbitrage_violations") > 0)
        rows = rows if "model_type" not in rows.columns else rows.filter(model_type=model)
        assert found.filter(model_type=model).height == rows.height


def test_forward_vols_add_up_to_the_stored_ones(lake):
    fits = lake.read("fitted_surfaces", [NEWEST]).filter(pl.col("model_type") == "SVI")
    slices = surface_slices(fits)
    forwards = evolution.forward_vols(slices)
    years = slices["tte_years"].diff().drop_nulls()
    total = (forwards["forward_vol"] ** 2 * years).sum()
    variance = slices["atm_vol"] ** 2 * slices["tte_years"]
    assert total == pytest.approx(variance[-1] - variance[0])


def test_a_stored_comparison_is_shown_as_stored(lake):
    before, after = Side(DAYS[-3], "SVI"), Side(NEWEST, "SVI")
    parts, is_stored = differences.moves(lake, "SPY", before, after)
    assert is_stored
    stored = lake.read("surface_changes", [NEWEST]).select(parts.columns)
    assert parts.equals(stored)


def test_a_comparison_for_the_look_agrees_with_the_stored_one(lake):
    before, after = Side(DAYS[-3], "SVI"), Side(NEWEST, "SVI")
    stored, _ = differences.moves(lake, "SPY", before, after)
    looked = differences._compared(lake, "SPY", before, after)
    for column in stored.columns:
        for one, other in zip(looked[column], stored[column], strict=True):
            assert one == (None if other is None else pytest.approx(other, abs=1e-9)), column


def test_the_parts_of_a_move_add_up(lake):
    backwards, is_stored = differences.moves(
        lake, "SPY", Side(NEWEST, "SVI"), Side(DAYS[-3], "SVI")
    )
    assert not is_stored
    figure = difference_plots.attribution_figure(backwards, "of")
    moves = figure.data[-1]["x"]
    parts = [trace["x"] for trace in figure.data[:-1]]
    assert [sum(own) for own in zip(*parts, strict=True)] == pytest.approx(moves)


def test_gaps_become_spans_of_neighbouring_sessions():
    days = [date(2026, 1, n) for n in (5, 6, 7, 8, 9)]
    assert coverage.spans_of([days[0], days[1], days[4]], days) == [
        (days[0], days[1]),
        (days[4], days[4]),
    ]


def test_a_table_that_was_never_filled_is_no_gap_of_one_session():
    rows = [("a", date(2026, 1, 5), True), ("a", date(2026, 1, 6), False)]
    rows += [("b", day, False) for _, day, _ in rows]
    schema = {"table": pl.String, "quote_date": pl.Date, "is_present": pl.Boolean}
    covered = pl.DataFrame(rows, schema=schema, orient="row")
    assert coverage.gaps_of(covered) == [date(2026, 1, 6)]


def test_every_stored_model_can_be_looked_at(look, lake):
    stored = models.stored_models(lake, "SPY", NEWEST)
    assert stored == ["SVI", "SSVI", "SABR", "HESTON", "GAMMA_VANNA_VOLGA", "POLYNOMIAL"]
    test = look()
    for model in stored:
        test.selectbox(key="chosen_model").select(model).run()
        assert not test.exception, model
        assert f"· {model} · smiles: " in test.caption[0].value
        level = surface.at("SPY", tenor="30d", log_moneyness=0.0, model=model, lake=lake)
        shown = {metric.label: metric.value for metric in test.metric}
        assert shown["ATM vol, 30 days"] == f"{100 * level.implied_vol:.2f} %"
    assert look(model="no such").selectbox(key="chosen_model").value == "SVI"


@pytest.mark.parametrize("model", ["SSVI", "SABR", "HESTON", "GAMMA_VANNA_VOLGA", "POLYNOMIAL"])
def test_questions_of_pages_are_answered_for_every_model(lake, model):
    days = lake.days("fitted_surfaces", "SPY")[-2:]
    term = sheets.term_of(lake, "SPY", NEWEST, model)
    assert term.height > 10
    for row in term.filter(status="fitted").head(3).iter_rows(named=True):
        asked = {"expiry": row["expiration_date"], "root": row["root"], "log_moneyness": 0.0}
        point = surface.at("SPY", **asked, on=NEWEST, model=model, lake=lake)
        assert row["atm_vol"] == pytest.approx(point.implied_vol, rel=1e-6)
    sheet = sheets.surface_sheet(lake, "SPY", NEWEST, model)
    assert np.isfinite(sheet.implied_vol).all()
    history = evolution.parameters_near(lake, "SPY", days, model, 30)
    assert history["quote_date"].to_list() == days
    fits = diagnostics.fit_history(lake, "SPY", days, model)
    scores = lake.read("model_scores", [NEWEST]).filter(model_type=model)
    assert (fits["violating"].null_count() > 0) == (model == "HESTON")  # a law is not tested
    if model != "HESTON":
        assert fits["median_rmse"][-1] == pytest.approx(scores["median_rmse"][0], rel=1e-9)
    assert diagnostics.residuals(lake, "SPY", NEWEST, model).height > 100
    one, other = Side(DAYS[-3], model), Side(NEWEST, model)
    change = differences.point_changes(lake, "SPY", one, other)
    row = change.drop_nulls().row(len(change.drop_nulls()) // 2, named=True)
    terms = {"tenor": row["tenor_days"], "log_moneyness": row["log_moneyness"]}
    after = surface.at("SPY", **terms, on=NEWEST, model=model, lake=lake).implied_vol
    assert row["after"] == pytest.approx(after, rel=1e-9)
    parts, _ = differences.moves(lake, "SPY", one, other)
    assert parts.drop_nulls("change_atm_vol").height > 0


def test_two_models_of_one_session_differ_by_nothing_that_spot_did(lake):
    parts, is_stored = differences.moves(lake, "SPY", Side(NEWEST, "SVI"), Side(NEWEST, "SSVI"))
    assert not is_stored
    known = parts.drop_nulls("move_spot")
    assert known.height > 0
    assert known["move_spot"].to_list() == pytest.approx([0.0] * known.height, abs=1e-9)


def test_a_series_breaks_where_a_session_is_missing():
    days = [date(2026, 1, n) for n in (5, 6, 7)]
    rows = pl.DataFrame({"quote_date": [days[0], days[2]], "x": [1.0, 3.0]})
    assert evolution.with_gaps(rows, days)["x"].to_list() == [1.0, None, 3.0]


def test_of_two_roots_on_one_day_one_makes_the_forward_vols(lake):
    fits = lake.read("fitted_surfaces", [NEWEST]).filter(pl.col("model_type") == "SVI")
    slices = surface_slices(fits)
    hours = 6.5 / (365 * 24)
    other = slices.with_columns(
        root=pl.lit("SPYW"), tte_years=pl.col("tte_years") + hours, num_points=pl.lit(5, pl.Int32)
    )
    both = pl.concat([slices, other])
    assert evolution.forward_vols(both).equals(evolution.forward_vols(slices))
