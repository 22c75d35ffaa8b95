"""The commands that leave files for others: `graphs` and `export`."""

import io
import json

import polars as pl
import pytest
from PIL import Image

from tests.app.conftest import DAYS
from volsurf_app import queries, surface
from volsurf_resources.lake import Lake

DAY = DAYS[1]


@pytest.fixture
def lake(filled_home):
    return Lake(filled_home / "lake")


def fitted(lake, day=DAY):
    rows = lake.read("fitted_surfaces", [day], symbols=["SPY"])
    return rows.filter(pl.col("status") == "fitted", pl.col("model_type") == "SVI")


def test_there_is_one_graph_per_fitted_expiry_and_no_old_one(volsurf, lake, filled_home):
    folder = filled_home / "graphs"
    folder.mkdir()
    old, other = folder / f"SPY_{DAY}_SPY_2000-01-01_svi.png", folder / "notes.png"
    old.touch()
    other.touch()
    code, said, _ = volsurf("graphs")
    expiries = fitted(lake)["expiration_date"].to_list()
    assert code == 0
    assert said.startswith(f"{len(expiries)} graphs of SPY {DAY}, SVI, in {folder}")
    assert said.rstrip().endswith(" s)")  # the time it took
    names = [f"SPY_{DAY}_SPY_{expiry}_svi.png" for expiry in expiries]
    assert sorted(p.name for p in folder.iterdir()) == sorted([*names, other.name])
    for name in names:
        with Image.open(folder / name) as image:
            image.verify()
            assert image.size == (1210, 836)


@pytest.mark.parametrize("model", ["ssvi", "sabr", "heston", "gvv", "polynomial"])
def test_every_model_is_drawn(lake, tmp_path, model):
    from volsurf_app.finding_surfaces import model_named
    from volsurf_app.graphs import draw_smile, new_figure

    name, figure = model_named(model), new_figure()
    pictures = queries.smile_pictures(lake, "SPY", DAY, model_type=name, statuses=("fitted",))
    assert len(pictures) == fitted(lake).height  # all models are fitted where SVI is
    draw_smile(figure, pictures[5])
    (curve,) = (line for line in figure.axes[0].lines if "it was fitted" in line.get_label())
    smile = pictures[5].smile
    for strike, vol in list(zip(*curve.get_data(), strict=True))[1:-1:25]:
        terms = {"expiry": smile["expiration_date"], "root": smile["root"], "strike": strike}
        point = surface.at("SPY", **terms, on=DAY, model=model, lake=lake)
        assert 100.0 * point.implied_vol == pytest.approx(vol, rel=1e-10)


def test_graphs_of_other_sessions_and_symbols_stay(lake, tmp_path):
    from volsurf_app.graphs import write_graphs

    others = {f"SPY_{DAYS[0]}_SPY_2000-01-01_svi.png", f"SPYX_{DAY}_SPYX_2000-01-01_svi.png"}
    for name in others:
        (tmp_path / name).touch()
    first, second = queries.smile_pictures(lake, "SPY", DAY, statuses=("fitted",))[:2]
    list(write_graphs([first, second], "SPY", DAY, tmp_path))
    (written,) = write_graphs([second], "SPY", DAY, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == others | {written.name}


def test_a_drawn_smile_shows_the_numbers_of_its_picture(lake):
    from volsurf_app.graphs import caption, draw_smile, new_figure

    figure = new_figure()
    for picture in queries.smile_pictures(lake, "SPY", DAY, statuses=("fitted",)):
        draw_smile(figure, picture)
        smile, errors = figure.axes
        labels = [text.get_text() for text in figure.legends[0].get_texts()]
        lines = {str(line.get_label()): line for line in smile.lines}
        inside = picture.curve.filter(~pl.col("is_extrapolated"))
        observed = lines["SVI where it was fitted"]
        assert list(observed.get_xdata()) == inside["strike"].to_list()
        assert list(observed.get_ydata()) == (100 * inside["implied_vol"]).to_list()
        assert lines["SVI extrapolated"].get_linestyle() != observed.get_linestyle()
        (forward,) = (line for label, line in lines.items() if label.startswith("forward"))
        assert set(forward.get_xdata()) == {picture.smile["forward"]}
        used = picture.quotes.filter("is_used")
        puts, calls = (used.filter(pl.col("option_type") == side) for side in ("PUT", "CALL"))
        for word, rows in (("puts", puts), ("calls", calls)):
            line = lines[f"{word} fitted, bid to ask ({rows.height})"]
            assert list(line.get_ydata()) == (100 * rows["iv_mid"]).to_list()
        drawn = [y for line in errors.lines[1:-1] for y in line.get_ydata()]
        assert drawn == pytest.approx(
            [*puts["error_vol_points"], *calls["error_vol_points"]], abs=1e-12
        )
        assert any("one standard error" in label for label in labels)
        assert (smile.get_ylabel(), errors.get_xlabel()) == (
            "implied volatility (% per year)",
            "strike (USD)",
        )
        told = " ".join(caption(picture))
        for part in (
            f"RMSE {picture.smile['rmse']:.3f} vol points",
            f"{picture.rmse_half_spreads:.2f} half-spreads",
            f"{picture.days} days",
            f"{picture.quote_time:%H:%M} UTC",
            "SVI: fitted",
            f"{100 * picture.smile['inside_spread_share']:.0f} % inside bid-ask",
        ):
            assert part in told


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
@pytest.mark.parametrize("table", ["fitted_surfaces", "vrp_metrics", "mission.market_prices"])
def test_what_is_exported_reads_back_as_the_rows_of_the_store(volsurf, lake, tmp_path, table, form):
    out = tmp_path / f"rows.{form}"
    code, said, _ = volsurf("export", table, "SPY", "--start", DAY, "--end", DAY, "--out", out)
    stored = queries.table_rows(lake, table, symbol="SPY", first=DAY, last=DAY)
    assert code == 0
    assert f"{stored.height} rows of {table}" in said
    assert stored.height > 0
    if form == "parquet":
        back = pl.read_parquet(out)
        assert back.equals(stored)
    else:
        read = pl.read_csv if form == "csv" else pl.read_json
        back = read(out, infer_schema_length=None)
        assert set(back.columns) == set(stored.columns)
        for name, dtype in stored.schema.items():
            if dtype.is_numeric():
                assert back[name].cast(pl.Float64).equals(stored[name].cast(pl.Float64))
            elif dtype == pl.Date:
                assert back[name].cast(pl.String).equals(stored[name].cast(pl.String))
    assert [p.name for p in tmp_path.iterdir()] == [out.name]


def test_export_prints_where_no_file_is_named(volsurf, lake):
    code, said, _ = volsurf("export", "vrp_metrics", "--format", "json")
    assert code == 0
    assert [row["quote_date"] for row in json.loads(said)] == [str(d) for d in DAYS[:2]]
    code, said, _ = volsurf("export", "market_rates", "SPY", "--end", DAYS[0])
    assert code == 0
    assert pl.read_csv(io.StringIO(said)).height == lake.read("market_rates", [DAYS[0]]).height


def test_every_table_and_view_can_be_exported(lake):
    for name in queries.table_names(lake):
        rows = queries.table_rows(lake, name, symbol="SPY", first=DAY, last=DAY)
        assert rows.columns, name


@pytest.mark.parametrize(
    ("words", "ends", "why"),
    [
        (("graphs", "ZZZZ"), 2, "has no ZZZZ"),
        (("graphs", "../SPY"), 2, "is no symbol"),
        (("graphs", "SPY", "--date", "soon"), 2, "is no date"),
        (("graphs", "SPY", "--date", DAYS[2]), 1, f"nearest stored: {DAY}"),
        (("graphs", "SPY", "--model", "magic"), 2, "one of SVI"),
        (("graphs", "SPY", "--model", "convex"), 1, "no such CONVEX smile"),
        (("graphs", "SPY", "--out", __file__), 2, "is a file"),
        (("export", "passwords"), 2, "no table or view"),
        (("export", "fitted_surfaces; DROP TABLE x"), 2, "no table or view"),
        (("export", "vrp_metrics", "ZZZZ"), 2, "has no ZZZZ"),
        (("export", "vrp_metrics", "--start", DAYS[1], "--end", DAYS[0]), 2, "is after --end"),
        (("export", "vrp_metrics", "--format", "parquet"), 2, "name a file"),
        (("export", "vrp_metrics", "--out", "no/such/folder/x.csv"), 2, "no folder"),
        (("export", "vrp_metrics", "--out", "x.xlsx"), 2, "ends in none of .csv, .json"),
    ],
)
def test_bad_input_is_answered_in_a_line(volsurf, words, ends, why):
    code, said, errors = volsurf(*words)
    assert code == ends
    plain = " ".join(errors.replace("│", " ").split())
    assert why in plain
    assert "Traceback" not in said + errors


def test_without_a_store_the_user_is_told_what_to_run(volsurf_elsewhere):
    code, _, errors = volsurf_elsewhere("graphs")
    assert code == 2
    assert "volsurf demo" in " ".join(errors.replace("│", " ").split())
