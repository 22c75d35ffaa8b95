"""The one way to ask for a point: against arithmetic on stored rows, and outside the quotes."""

import math
from datetime import UTC, date, datetime, timedelta

import pytest
from scipy.stats import norm

from tests.assets.handmade import DAY
from tests.assets.test_surfaces import smiles
from volsurf_app import surface
from volsurf_app.questions import BadQuestion, NotStored, when, where, years_of
from volsurf_resources.lake import Lake, Provenance

NEXT = DAY + timedelta(days=1)
THEN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path):
    lake = Lake(tmp_path / "lake")
    rows = smiles()
    ssvi = smiles(level=0.3, model_type="SSVI")
    lake.replace("fitted_surfaces", DAY, rows.vstack(ssvi), provenance=Provenance(known_at=THEN))
    return lake


def variance_of(row, k):
    """Raw SVI, written out."""
    x = k - row["svi_m"]
    root = math.sqrt(x * x + row["svi_sigma"] ** 2)
    return row["svi_a"] + row["svi_b"] * (row["svi_rho"] * x + root)


def rows_of(lake, model="SVI"):
    rows = lake.read("fitted_surfaces", [DAY]).rows(named=True)
    return sorted((r for r in rows if r["model_type"] == model), key=lambda r: r["tte_years"])


@pytest.mark.parametrize("tenor", ["11d", "30d", "6w", 100.0, "1y"])
@pytest.mark.parametrize("k", [-0.2, 0.0, 0.13])
@pytest.mark.parametrize("model", ["SVI", "SSVI"])
def test_point_is_the_interpolation_of_stored_rows(lake, tenor, k, model):
    tte = years_of(tenor)
    rows = rows_of(lake, model)
    near = max((r for r in rows if r["tte_years"] <= tte), key=lambda r: r["tte_years"])
    far = min((r for r in rows if r["tte_years"] >= tte), key=lambda r: r["tte_years"])
    gap = far["tte_years"] - near["tte_years"]
    share = (tte - near["tte_years"]) / gap if gap else 1.0
    w = (1 - share) * variance_of(near, k) + share * variance_of(far, k)
    forward = near["forward"] ** (1 - share) * far["forward"] ** share

    point = surface.at("SPX", tenor=tenor, log_moneyness=k, on=DAY, model=model, lake=lake)
    assert point.implied_vol == pytest.approx(math.sqrt(w / tte), abs=1e-10)
    assert point.forward == pytest.approx(forward, rel=1e-12)
    assert point.strike == pytest.approx(forward * math.exp(k), rel=1e-12)
    assert point.status == "supported"
    assert {s.expiration_date for s in point.slices} == {
        near["expiration_date"],
        far["expiration_date"],
    }
    by_strike = surface.at("spx", tte=tte, strike=point.strike, on=DAY, model=model, lake=lake)
    assert by_strike.implied_vol == pytest.approx(point.implied_vol, rel=1e-12)


def test_listed_expiry_is_the_stored_slice_itself(lake):
    row = rows_of(lake)[2]
    point = surface.at("SPX", expiry=row["expiration_date"], strike=95.0, on=DAY, lake=lake)
    k = math.log(95.0 / row["forward"])
    assert point.implied_vol == pytest.approx(
        math.sqrt(variance_of(row, k) / row["tte_years"]), abs=1e-14
    )
    assert point.std_error == pytest.approx(row["atm_vol_std_error"], rel=1e-12)
    assert (point.expiration_date, point.root) == (row["expiration_date"], "SPX")
    assert point.known_at == THEN


@pytest.mark.parametrize("delta", [-0.25, -0.4, 0.3])
def test_delta_asked_for_is_the_delta_of_the_point(lake, delta):
    point = surface.at("SPX", tenor="60d", delta=delta, on=DAY, lake=lake)
    root = point.implied_vol * math.sqrt(point.tte_years)
    d1 = -point.log_moneyness / root + root / 2
    assert norm.cdf(d1) - (delta < 0) == pytest.approx(delta, abs=1e-12)
    again = surface.at("SPX", tenor="60d", log_moneyness=point.log_moneyness, on=DAY, lake=lake)
    assert again.delta == pytest.approx(delta, abs=1e-12)


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"tenor": "9d", "log_moneyness": 0.0}, "outside_expiries"),
        ({"tenor": "401d", "strike": 100.0}, "outside_expiries"),
        ({"tenor": "30d", "log_moneyness": -0.26}, "outside_strikes"),
        ({"tenor": "30d", "strike": 1e9}, "outside_strikes"),
        ({"tenor": "30d", "delta": -1e-9}, "outside_strikes"),
        ({"expiry": DAY + timedelta(days=30), "strike": 1e-9}, "outside_strikes"),
    ],
)
def test_outside_the_quotes_there_is_no_value_but_a_reason(lake, asked, status):
    point = surface.at("SPX", **asked, on=DAY, lake=lake)
    assert (point.implied_vol, point.std_error, point.total_variance) == (None, None, None)
    assert point.status == status
    assert point.reason


def test_expiry_without_smile_says_why(tmp_path):
    lake = Lake(tmp_path)
    few = smiles(days=(5,), status="skipped", reason="3 strikes to fit, needs 10", svi_a=None)
    lake.replace("fitted_surfaces", DAY, smiles().vstack(few))
    point = surface.at("SPX", expiry=DAY + timedelta(days=5), strike=100.0, on=DAY, lake=lake)
    assert (point.implied_vol, point.status) == (None, "no_smile")
    assert "3 strikes to fit" in point.reason
    lake.replace("fitted_surfaces", NEXT, smiles(NEXT, status="failed"))
    assert surface.at("SPX", tenor=30, strike=100.0, lake=lake).status == "no_smile"


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"tenor": "30d"},
        {"strike": 100.0},
        {"tenor": "30d", "tte": 0.1, "strike": 100.0},
        {"tenor": "30d", "strike": 100.0, "delta": 0.5},
        {"tenor": "3m", "strike": 100.0},
        {"tenor": "-3d", "strike": 100.0},
        {"tenor": "0d", "strike": 100.0},
        {"tte": math.nan, "strike": 100.0},
        {"tte": math.inf, "strike": 100.0},
        {"tenor": "30d", "strike": 0.0},
        {"tenor": "30d", "strike": -1.0},
        {"tenor": "30d", "strike": math.nan},
        {"tenor": "30d", "delta": 0.0},
        {"tenor": "30d", "delta": 1.0},
        {"tenor": "30d", "log_moneyness": math.inf},
        {"tenor": "30d", "strike": 100.0, "model": "SABR'--"},
        {"tenor": "30d", "strike": 100.0, "snapshot": "../EOD"},
        {"tenor": "30d", "strike": 100.0, "on": "yesterday"},
        {"tenor": "30d", "strike": 100.0, "known_at": "2026-01-01"},
        {"tenor": "30d", "strike": 100.0, "root": "SPX"},
        {"expiry": "2026-13-01", "strike": 100.0},
    ],
)
def test_questions_that_contradict_themselves_are_refused(lake, asked):
    with pytest.raises(BadQuestion):
        surface.at("SPX", lake=lake, **asked)


@pytest.mark.parametrize("symbol", ["", "../etc", "SPX;", "a" * 30, "SPX\n"])
def test_what_is_no_symbol_is_refused_unless_it_can_be_cleaned(lake, symbol):
    if symbol.strip() == "SPX":
        assert surface.at(symbol, tenor=30, strike=100.0, lake=lake).symbol == "SPX"
    else:
        with pytest.raises(BadQuestion):
            surface.at(symbol, tenor=30, strike=100.0, lake=lake)


@pytest.mark.parametrize(
    ("symbol", "asked", "told"),
    [
        ("XYZ", {}, "there are SPX"),
        ("SPX", {"on": NEXT}, f"nearest sessions are {DAY}"),
        ("SPX", {"snapshot": "1500"}, "1500"),
        ("SPX", {"known_at": THEN - timedelta(seconds=1)}, "was known at"),
        ("SPX", {"tenor": None, "expiry": date(2030, 1, 1)}, "nearest are"),
        (
            "SPX",
            {"tenor": None, "expiry": DAY + timedelta(days=30), "root": "SPXW"},
            "no root 'SPXW'",
        ),
    ],
)
def test_what_is_not_stored_is_named_with_what_there_is(lake, symbol, asked, told):
    with pytest.raises(NotStored, match=told):
        surface.at(symbol, lake=lake, strike=100.0, **{"tenor": "30d", **asked})


def test_empty_and_half_filled_lakes_say_so(tmp_path):
    lake = Lake(tmp_path / "nowhere")
    with pytest.raises(NotStored, match="volsurf demo"):
        surface.at("SPX", tenor=30, strike=100.0, lake=lake)
    assert not lake.root.exists()


def test_rewritten_surface_is_seen_and_the_old_one_as_known_then(lake):
    asked = {"tenor": 30, "strike": 100.0, "on": DAY, "lake": lake}
    before = surface.at("SPX", **asked)
    lake.replace("fitted_surfaces", DAY, smiles(level=0.25))
    after = surface.at("SPX", **asked)
    assert after.implied_vol > before.implied_vol
    assert after.content_hash != before.content_hash
    assert surface.at("SPX", **asked, known_at=THEN) == before


def test_the_last_session_is_the_last_that_was_known(lake):
    later = Provenance(known_at=THEN + timedelta(days=1))
    lake.replace("fitted_surfaces", NEXT, smiles(NEXT, level=0.25), provenance=later)
    asked = {"tenor": 30, "strike": 100.0, "lake": lake}
    assert surface.at("SPX", **asked).quote_date == NEXT
    assert surface.at("SPX", **asked, known_at=THEN).quote_date == DAY
    assert surface.at("SPX", **asked, known_at=THEN + timedelta(days=1)).quote_date == NEXT
    with pytest.raises(NotStored, match=f"{NEXT} was known at"):
        surface.at("SPX", **asked, known_at=THEN - timedelta(days=1))


def test_grid_and_history_hold_the_same_numbers_as_points(lake):
    lake.replace("fitted_surfaces", NEXT, smiles(NEXT, level=0.25))
    times = [when(tenor=d) for d in (5, 30, 90)] + [when(expiry=DAY + timedelta(days=60))]
    grid = surface.points("SPX", times, where(delta=[-0.25, 0.25]), on=DAY, lake=lake)
    for i, time in enumerate(times):
        for j, delta in enumerate((-0.25, 0.25)):
            point = surface.at(
                "SPX",
                tte=time.tte,
                expiry=time.expiry,
                delta=delta,
                on=DAY,
                lake=lake,
            )
            assert grid.implied_vol[i][j] == point.implied_vol
            assert grid.strike[i][j] == point.strike
            assert grid.status[i][j] == point.status
    through = surface.history(
        "SPX", when(tenor=30), where(delta=-0.25), start=DAY, end=NEXT, lake=lake
    )
    assert through["quote_date"].to_list() == [DAY, NEXT]
    for day, vol in through.select("quote_date", "implied_vol").iter_rows():
        point = surface.at("SPX", tenor=30, delta=-0.25, on=day, lake=lake)
        assert vol == point.implied_vol


def test_of_two_roots_the_one_asked_for_answers(tmp_path):
    lake = Lake(tmp_path)
    weekly = smiles(root="SPXW", level=0.3, num_points=10)
    lake.replace("fitted_surfaces", DAY, smiles().vstack(weekly))
    asked = {"expiry": DAY + timedelta(days=30), "strike": 100.0, "lake": lake}
    monthly, chosen = surface.at("SPX", **asked), surface.at("SPX", **asked, root="SPXW")
    assert (monthly.root, chosen.root) == ("SPX", "SPXW")
    assert chosen.implied_vol > monthly.implied_vol
    assert surface.at("SPX", tte=monthly.tte_years, strike=100.0, lake=lake).implied_vol == (
        pytest.approx(monthly.implied_vol, rel=1e-12)
    )
