"""Tables that read the fitted smiles: grid points, term structure, changes."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from tests.assets.handmade import DAY
from tests.assets.pipeline import settings_of
from volsurf_assets.smile_quality import PARAMETERS
from volsurf_assets.surfaces import (
    CHANGE_TENORS,
    DELTAS,
    MONEYNESS,
    TENORS,
    surface_changes,
    surface_of,
    surface_points,
    term_structure_params,
)
from volsurf_math.smiles.svi import RawSvi
from volsurf_resources.exchange_calendar import last_sessions, previous_session
from volsurf_resources.lake import Lake
from volsurf_tables.surfaces import FITTED_SURFACES, IS_STANDARD

RECIPES = (surface_points, term_structure_params, surface_changes)
EXPIRIES = (10, 30, 60, 120, 250, 400)  # days
MOVES = ["move_spot", "move_level", "move_skew", "move_curvature", "move_term"]


def smile_at(tte, level=0.2, tilt=-0.4):
    """A smile whose total variance is w(k) = level^2 tte (1 + ...), free of calendar arbitrage."""
    return RawSvi(a=0.5 * level**2 * tte, b=0.5 * level**2 * tte / 0.3, rho=tilt, m=0.0, sigma=0.3)


def smiles(day=DAY, *, level=0.2, tilt=-0.4, forward=100.0, days=EXPIRIES, symbol="SPX", **named):
    """Rows of fitted_surfaces of known parameters; `named` columns have one value for all."""
    rows = []
    for n in days:
        tte = n / 365.0
        smile = smile_at(tte, level, tilt)
        shape = smile.quantities(tte)
        rows.append(
            {
                "symbol": symbol, "quote_date": day, "snapshot": "EOD", "root": symbol,
                "expiration_date": day + timedelta(days=n), "model_type": "SVI",
                "tte_years": tte, "forward": forward * np.exp(0.03 * tte),
                **dict(zip(PARAMETERS, (smile.a, smile.b, smile.rho, smile.m, smile.sigma),
                           strict=True)),
                "atm_vol": float(shape.atm_vol[0]), "atm_vol_std_error": 0.001,
                "skew_25delta": float(shape.skew_25delta[0]), "num_points": 20,
                "k_min": -0.25, "k_max": 0.15, "status": "fitted",
            } | named
        )  # fmt: skip
    return pl.DataFrame(rows, schema=FITTED_SURFACES.schema)


def tables_of(home, *frames):
    """Store smiles by date, run the recipes over all dates, return the three tables."""
    settings = settings_of(home)
    lake = Lake(settings.lake_root)
    rows = pl.concat(frames)
    days = rows["quote_date"].unique().sort()
    for day in days:
        lake.replace("fitted_surfaces", day, rows.filter(pl.col("quote_date") == day))
    for recipe in RECIPES:
        for day in days:
            recipe.refresh(lake, settings, day)
    return tuple(lake.read(recipe.table.name) for recipe in RECIPES)


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    found = tables_of(tmp_path_factory.mktemp("points"), smiles())[0]
    return found.filter(IS_STANDARD)


def test_every_point_of_the_grid_has_a_row(points):
    assert points.height == len(TENORS) * (len(DELTAS) + len(MONEYNESS))
    assert set(points["status"]) == {"interpolated", "unsupported"}
    assert (points["implied_vol"].is_null() == (points["status"] == "unsupported")).all()
    assert (points["reason"].is_null() == (points["status"] == "interpolated")).all()


@pytest.mark.parametrize("tenor", [30, 60, 120])
def test_at_an_expiry_a_point_is_the_smile_itself(points, tenor):
    at = points.filter(pl.col("tenor_days") == tenor, pl.col("axis") == "log_moneyness")
    inside = at.filter(pl.col("coordinate").is_between(-0.25, 0.15))
    assert inside["status"].unique().to_list() == ["interpolated"]
    assert inside["log_moneyness"].to_list() == inside["coordinate"].to_list()
    tte = tenor / 365.0
    truth = np.sqrt(smile_at(tte).total_variance(inside["coordinate"].to_numpy()) / tte)
    assert inside["implied_vol"].to_numpy() == pytest.approx(truth, rel=1e-12)
    money = inside.filter(pl.col("coordinate") == 0.0)
    assert money["std_error"].item() == pytest.approx(0.001)


def test_between_expiries_variance_is_linear_in_time(points):
    vols = points.filter(pl.col("tenor_days") == 90, pl.col("coordinate") == -0.10)
    near, far = (smile_at(n / 365.0).total_variance(-0.10) for n in (60, 120))
    truth = np.sqrt(0.5 * (near + far) / (90 / 365.0))
    vol = vols.filter(pl.col("axis") == "log_moneyness")["implied_vol"].item()
    assert vol == pytest.approx(truth, rel=1e-12)


def test_nothing_is_extrapolated_in_time_or_strike(points):
    beyond = points.filter(~pl.col("tenor_days").is_between(10, 400))
    assert set(beyond["tenor_days"]) == {7, 540, 730}
    assert beyond["implied_vol"].is_null().all()
    assert set(beyond["reason"]) == {"tenor outside the fitted expiries"}
    outside = points.filter(
        pl.col("axis") == "log_moneyness", pl.col("tenor_days").is_between(10, 400),
        ~pl.col("coordinate").is_between(-0.25, 0.15),
    )  # fmt: skip
    assert set(outside["coordinate"]) == {-0.30, 0.20}
    assert outside["implied_vol"].is_null().all()
    assert set(outside["reason"]) == {"outside the quoted strikes"}


def test_a_point_at_a_delta_has_that_delta(points):
    from scipy.stats import norm

    at = points.filter(pl.col("axis") == "delta", pl.col("implied_vol").is_not_null())
    assert at.height > 40
    root = at["implied_vol"].to_numpy() * np.sqrt(at["tenor_days"].to_numpy() / 365.0)
    d1 = -at["log_moneyness"].to_numpy() / root + 0.5 * root
    wanted = at["coordinate"].to_numpy()
    assert norm.cdf(d1) - (wanted < 0.0) == pytest.approx(wanted, abs=1e-9)


def test_carried_smiles_are_read_and_others_are_not():
    carried = surface_of(smiles(status="carried"))
    assert carried.tte.size == len(EXPIRIES)
    assert surface_of(smiles(status="skipped")) is None
    assert surface_of(smiles(status="failed")) is None
    assert surface_of(smiles().clear()) is None


def test_of_two_roots_that_settle_together_the_one_with_more_quotes_stands():
    few, many = smiles(level=0.3, num_points=12), smiles(root="SPXW", num_points=40)
    for rows in (pl.concat([few, many]), pl.concat([many, few])):
        assert surface_of(rows).parameters[:, 0] == pytest.approx(many["svi_a"].to_numpy())


def test_a_carried_smile_gives_way_to_a_fitted_one_of_the_same_time_left():
    carried, fitted = smiles(level=0.3, status="carried", num_points=40), smiles(root="SPXW")
    for rows in (pl.concat([carried, fitted]), pl.concat([fitted, carried])):
        assert surface_of(rows).parameters[:, 0] == pytest.approx(fitted["svi_a"].to_numpy())


def test_without_a_smile_every_point_says_so(tmp_path):
    points, term, changes = tables_of(tmp_path, smiles(status="skipped", atm_vol=None))
    assert set(points["reason"]) == {"no smile was fitted"}
    assert term["status"].to_list() == ["skipped"]
    assert set(changes["status"]) == {"unsupported"}


def power_law(a, b, skew_a, skew_b):
    """Smiles of known ATM vols and skews, whatever their parameters."""
    rows = smiles()
    tte = pl.col("tte_years")
    return rows.with_columns(atm_vol=a * tte**b, skew_25delta=skew_a * tte**skew_b)


@pytest.mark.parametrize(("a", "b", "skew"), [(0.2, -0.1, 0.05), (0.35, 0.08, -0.02)])
def test_a_power_law_comes_back(tmp_path, a, b, skew):
    _, term, _ = tables_of(tmp_path, power_law(a, b, skew, -0.45))
    (row,) = term.iter_rows(named=True)
    assert row["atm_term_a"] == pytest.approx(a, rel=1e-10)
    assert row["atm_term_b"] == pytest.approx(b, rel=1e-10)
    assert row["skew_term_a"] == pytest.approx(skew, rel=1e-10)
    assert row["skew_term_b"] == pytest.approx(-0.45, rel=1e-10)
    assert row["atm_term_rmse"] == pytest.approx(0.0, abs=1e-10)
    assert (row["num_expirations"], row["status"], row["reason"]) == (6, "fitted", None)


def test_the_error_of_a_power_law_is_in_vol_points(tmp_path):
    rows = power_law(0.2, 0.0, 0.05, -0.5)
    up = pl.when(pl.int_range(pl.len()) % 2 == 0).then(1.01).otherwise(1.0 / 1.01)
    _, term, _ = tables_of(tmp_path, rows.with_columns(atm_vol=pl.col("atm_vol") * up))
    assert term["atm_term_rmse"].item() == pytest.approx(0.2, rel=0.1)  # 1 % of 20 points


def test_quotes_of_thin_expiries_count_for_the_level_but_not_for_the_skew(tmp_path):
    thin = power_law(0.2, -0.1, 0.05, -0.4).with_columns(
        status=pl.when(pl.col("tte_years") < 0.1).then(pl.lit("skipped")).otherwise("status"),
        skew_25delta=pl.when(pl.col("tte_years") > 0.1).then("skew_25delta"),
    )
    (row,) = tables_of(tmp_path, thin)[1].iter_rows(named=True)
    assert row["num_expirations"] == 6
    assert row["atm_term_a"] == pytest.approx(0.2, rel=1e-10)
    assert row["skew_term_b"] == pytest.approx(-0.4, rel=1e-10)


def test_two_expiries_are_no_term_structure(tmp_path):
    (row,) = tables_of(tmp_path, smiles(days=(30, 60)))[1].iter_rows(named=True)
    assert (row["status"], row["atm_term_a"]) == ("skipped", None)
    assert row["reason"] == "atm: too_few_points; skew: too_few_points"


def test_a_skew_that_changes_sign_is_no_power_law_and_says_so(tmp_path):
    mixed = smiles().with_columns(skew_25delta=pl.col("tte_years") - 0.2)
    (row,) = tables_of(tmp_path, mixed)[1].iter_rows(named=True)
    assert (row["status"], row["reason"]) == ("fitted", "skew: mixed_sign")
    assert row["skew_term_a"] is None


def changes_of(home, before, after):
    return tables_of(home, before, after)[2].filter(pl.col("quote_date") == DAY)


BEFORE = previous_session(DAY)


def test_a_surface_that_does_not_move_has_no_changes(tmp_path):
    found = changes_of(tmp_path, smiles(BEFORE), smiles())
    assert found["tenor_days"].to_list() == list(CHANGE_TENORS)
    assert set(found["status"]) == {"compared"}
    assert set(found["previous_date"]) == {BEFORE}
    columns = [c for c in found.columns if c.startswith(("change_", "move_", "grid_"))]
    assert len(columns) == 14
    assert found.select(pl.col(columns).abs().max()).to_numpy().max() < 1e-10


def test_a_parallel_shift_is_all_level(tmp_path):
    """Vols that rise by a tenth of themselves at every strike and tenor: 20 to 22 at the money."""
    found = changes_of(tmp_path, smiles(BEFORE), smiles(level=0.22))
    assert found["change_atm_vol"].to_numpy() == pytest.approx([2.0] * 4, rel=1e-9)
    assert found["move_level"].to_numpy() == pytest.approx([2.0] * 4, rel=1e-9)
    assert found["move_term"].to_numpy() == pytest.approx([0.0] * 4, abs=1e-9)
    assert found["move_spot"].to_numpy() == pytest.approx([0.0] * 4, abs=1e-9)


def test_the_parts_of_a_move_add_up_to_it(tmp_path):
    """The strike one standard deviation below today's forward, read on both surfaces."""
    near, far = smiles(level=0.21, tilt=-0.5, days=(10, 30, 60)), smiles(level=0.215, days=(250,))
    old, new = smiles(BEFORE, forward=101.0), pl.concat([near, far])
    found = changes_of(tmp_path, old, new)
    tte = np.array(CHANGE_TENORS) / 365.0
    before, after = surface_of(old), surface_of(new)
    k = -before.at_the_money(tte).implied_vol * np.sqrt(tte)
    roll = np.log(after.at_the_money(tte).forward / before.at_the_money(tte).forward)
    now, then = after.implied_vol(tte, k=k), before.implied_vol(tte, k=k + roll)
    total = 100.0 * (now.implied_vol - then.implied_vol)
    assert found.select(MOVES).sum_horizontal().to_numpy() == pytest.approx(total, rel=1e-9)
    assert found.select(pl.col(MOVES).abs().max()).to_numpy().min() > 1e-6


def test_the_size_of_a_change_does_not_depend_on_its_direction(tmp_path):
    there = changes_of(tmp_path / "there", smiles(BEFORE), smiles(level=0.21))
    back = changes_of(tmp_path / "back", smiles(BEFORE, level=0.21), smiles())
    assert there["grid_rmse"].to_list() == pytest.approx(back["grid_rmse"].to_list(), rel=1e-12)
    assert there["change_svi_a"].to_list() == pytest.approx((-back["change_svi_a"]).to_list())


def test_the_first_session_says_that_there_is_none_before(tmp_path):
    found = tables_of(tmp_path, smiles())[2]
    assert set(found["status"]) == {"unsupported"}
    assert set(found["reason"]) == {"no surface before"}
    assert found["previous_date"].is_null().all()
    assert found["change_atm_vol"].is_null().all()


def test_a_session_without_smiles_is_passed_over(tmp_path):
    first, second = last_sessions(BEFORE, 2)
    frames = smiles(first), smiles(second, status="failed"), smiles(level=0.21)
    found = tables_of(tmp_path, *frames)[2]
    assert set(found.filter(pl.col("quote_date") == DAY)["previous_date"]) == {first}
    now = found.filter(pl.col("quote_date") == second)
    assert set(now["reason"]) == {"no surface now"}


def test_a_tenor_that_one_of_two_surfaces_lacks_is_not_compared(tmp_path):
    found = changes_of(tmp_path, smiles(BEFORE, days=(20, 45, 100)), smiles())
    assert found["status"].to_list() == ["compared"] * 3 + ["unsupported"]
    assert found["reason"].to_list() == [None] * 3 + ["outside the quotes of one"]


def test_symbols_do_not_influence_each_other(tmp_path):
    mine = smiles(BEFORE), smiles(level=0.21)
    others = (smiles(day, level=0.4, symbol="NDX", days=(20, 500)) for day in (BEFORE, DAY))
    alone = tables_of(tmp_path / "alone", *mine)
    mixed = tables_of(tmp_path / "mixed", *others, *mine)
    for table, own in zip(mixed, alone, strict=True):
        assert table.filter(pl.col("symbol") == "SPX").equals(own)


def test_each_model_has_points_of_its_own(tmp_path):
    """The joint surface is higher by a tenth; what reads one model alone does not see it."""
    other = smiles(level=0.22, model_type="SSVI")
    both = tables_of(tmp_path / "both", pl.concat([smiles(), other]))
    alone = tables_of(tmp_path / "alone", smiles())
    found = both[0].partition_by("model_type", as_dict=True)
    assert found["SVI",].equals(alone[0].filter(IS_STANDARD))
    same = pl.col("axis") == "log_moneyness"
    svi, ssvi = (found[model,].filter(same)["implied_vol"] for model in ("SVI", "SSVI"))
    assert svi.null_count() < svi.len()
    np.testing.assert_allclose(ssvi.drop_nulls(), 1.1 * svi.drop_nulls(), rtol=1e-9)
    for whole, own in zip(both[1:], alone[1:], strict=True):
        assert whole.equals(own)
