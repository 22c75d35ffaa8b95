"""Fitted smiles: known smiles come back, and every expiry has a fit or a reason."""

from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from tests.assets.handmade import (
    DAY,
    alter,
    expiry,
    flat_curve,
    in_days,
    is_contract,
    lake_of,
    years_to,
)
from tests.assets.pipeline import make, settings_of, simulated_lake
from volsurf_assets import smiles
from volsurf_assets.smile_outcomes import CARRY_SESSIONS
from volsurf_assets.smiles import fitted_surfaces
from volsurf_math.smiles.svi import RawSvi
from volsurf_resources.exchange_calendar import last_sessions, previous_session, sessions
from volsurf_resources.lake import Lake
from volsurf_tables.surfaces import IS_STANDARD, SLICE_MODELS

TABLES = ["implied_forwards", "option_quotes", "fitted_surfaces"]
PARAMETERS = ["svi_a", "svi_b", "svi_rho", "svi_m", "svi_sigma"]
STRIKES = np.arange(70.0, 131.0, 1.0)


def svi(tte):
    """A smile of about 20 % vol with an equity-like skew, scaled to the time left."""
    return RawSvi(a=0.02 * tte, b=0.1 * tte**0.5, rho=-0.4, m=0.02, sigma=0.2 * tte**0.5)


def vol_of(smile, tte):
    return lambda k: np.sqrt(smile.total_variance(k) / tte)


def smiling(expiration, day=DAY, noise=0.0, **named):
    """An expiry quoted on `svi`, mids moved by `noise` of themselves, up and down."""
    tte = years_to(expiration, day)
    frame = expiry(expiration, vol_of(svi(tte), tte), day=day, **({"strikes": STRIKES} | named))
    sign = np.random.default_rng(expiration.toordinal()).uniform(-1.0, 1.0, frame.height)
    move = pl.Series(1.0 + noise * sign)
    return frame.with_columns(bid=pl.col("bid") * move, ask=pl.col("ask") * move)


def smiles_of(home, chain, *others, **settings):
    lake, _ = lake_of(home, chain, *others, only=TABLES, settings=settings)
    return standard(lake).sort("root", "quote_date", "expiration_date")


def standard(lake, days=None):
    """Smiles of the standard model; those of all models are `test_joint_smiles`."""
    return lake.read("fitted_surfaces", days).filter(IS_STANDARD)


def raw(row):
    return RawSvi(**{name[4:]: row[name] for name in PARAMETERS})


def test_a_known_smile_comes_back(tmp_path):
    days = [in_days(n) for n in (14, 60, 180, 400)]
    found = smiles_of(tmp_path, pl.concat([smiling(day, half_share=0.002) for day in days]))
    assert found["status"].to_list() == ["fitted"] * 4
    assert found["passes_no_arbitrage"].all()
    for row in found.iter_rows(named=True):
        truth, k = svi(row["tte_years"]), np.linspace(row["k_min"], row["k_max"], 50)
        error = raw(row).total_variance(k) - truth.total_variance(k)
        assert np.abs(error).max() < 1e-4 * truth.total_variance(0.0)
        assert row["atm_vol"] == pytest.approx(vol_of(truth, row["tte_years"])(0.0), abs=2e-5)
        assert max(row["rmse"], row["mae"], row["holdout_rmse"]) < 0.01
        assert row["max_error"] < 0.03
        assert row["inside_spread_share"] > 0.95
        assert row["parameters_date"] == DAY
        assert row["reason"] is None


@pytest.mark.parametrize(("count", "status"), [(9, "skipped"), (10, "fitted")])
def test_nine_strikes_are_skipped_and_ten_are_fitted(tmp_path, count, status):
    chain = smiling(in_days(30), strikes=np.arange(100.0 - count // 2, 200.0)[:count])
    (row,) = smiles_of(tmp_path, chain).iter_rows(named=True)
    assert (row["status"], row["num_points"]) == (status, count)
    assert (row["svi_a"] is None) == (count == 9)
    assert row["reason"] == ("9 strikes to fit, needs 10" if count == 9 else None)
    assert row["atm_method"] == ("quotes" if count == 9 else "model")
    tte = row["tte_years"]
    assert row["atm_vol"] == pytest.approx(vol_of(svi(tte), tte)(0.0), abs=2e-4)


def test_a_thin_expiry_of_one_wing_has_no_vol_at_the_money(tmp_path):
    (row,) = smiles_of(
        tmp_path, smiling(in_days(30), strikes=[80.0, 82.0, 84.0]), flat_curve()
    ).iter_rows(named=True)
    assert row["status"] == "skipped"
    assert row["atm_vol"] is None
    assert row["atm_method"] is None


def test_a_spoilt_quote_beside_the_forward_does_not_set_the_vol_at_the_money(tmp_path):
    chain = smiling(in_days(5), strikes=np.arange(96.0, 105.0))
    dearer = {side: pl.col(side) + 0.5 for side in ("bid", "ask")}
    spoilt = alter(chain, is_contract("PUT", 100.0), **dearer)
    (row,) = smiles_of(tmp_path, spoilt).iter_rows(named=True)
    assert (row["status"], row["atm_method"]) == ("skipped", "quotes")
    tte = row["tte_years"]
    assert row["atm_vol"] == pytest.approx(vol_of(svi(tte), tte)(0.0), abs=5e-3)


@pytest.fixture(scope="module")
def noisy():
    chain = pl.concat([smiling(in_days(n), noise=0.01) for n in (30, 90)])
    interest = 51.0 + pl.int_range(pl.len()) % 17 * 300
    return chain.with_columns(open_interest=interest.cast(pl.Float64))


@pytest.fixture(scope="module")
def default_fit(tmp_path_factory, noisy):
    return smiles_of(tmp_path_factory.mktemp("default"), noisy)


@pytest.mark.parametrize(
    "change",
    [
        {"fit_side": "CALLS"}, {"fit_side": "PUTS"}, {"fit_weighting": "equal"},
        {"fit_weighting": "open_interest"}, {"fit_cap_std_devs": 1.5},
        {"min_strikes_per_fit": 60}, {"svi_max_iterations": 1}, {"svi_tolerance": 0.5},
        {"max_spread_pct": 1.0}, {"min_open_interest": 1000.0}, {"min_dte": 45},
        {"max_dte": 60}, {"min_moneyness": 0.97}, {"max_moneyness": 1.03}, {"max_iv": 0.2},
    ],
    ids=str,
)  # fmt: skip
def test_every_setting_of_the_fit_changes_the_fit(tmp_path, noisy, default_fit, change):
    changed = smiles_of(tmp_path, noisy, **change)
    columns = [*PARAMETERS, "num_points", "status"]
    assert not changed.select(columns).equals(default_fit.select(columns))


def test_the_sides_fitted_are_the_sides_asked_for(tmp_path, noisy, default_fit):
    calls = smiles_of(tmp_path, noisy, fit_side="CALLS")
    assert default_fit["side"].unique().to_list() == ["OTM"]
    assert calls["side"].unique().to_list() == ["CALLS"]
    gap = (calls["atm_vol"] - default_fit["atm_vol"]).abs()
    assert gap.max() < 0.002  # parity holds: both sides tell one vol


def recomputed(row, quotes):
    """Errors in vol points from the stored parameters and quotes."""
    own = quotes.filter(
        pl.col("expiration_date") == row["expiration_date"], "is_liquid", "is_out_of_the_money",
        pl.col("log_moneyness").is_between(row["k_min"], row["k_max"]),
    )  # fmt: skip
    k, vol, tte = (own[name].to_numpy() for name in ("log_moneyness", "iv_mid", "tte_years"))
    return own, 100.0 * (np.sqrt(raw(row).total_variance(k) / tte) - vol)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    days = [date(2025, 8, 6), date(2025, 8, 7)]
    lake, _ = simulated_lake(tmp_path_factory.mktemp("simulated"), days, only=TABLES)
    return lake


@pytest.fixture(scope="module")
def fits(simulated):
    return simulated.read("fitted_surfaces").filter(pl.col("status") == "fitted")


def test_stored_errors_follow_from_stored_parameters_and_quotes(simulated, fits):
    for row in fits.sample(10, seed=1).iter_rows(named=True):
        quotes = simulated.read("option_quotes", [row["quote_date"]])
        own, error = recomputed(row, quotes.filter(pl.col("root") == row["root"]))
        assert row["num_points"] == own.height
        assert row["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-9)
        assert row["mae"] == pytest.approx(np.abs(error).mean(), rel=1e-9)
        assert row["max_error"] == pytest.approx(np.abs(error).max(), rel=1e-9)
        model = own["iv_mid"].to_numpy() + error / 100.0
        low, high = (own[name].fill_null(0.0).to_numpy() for name in ("iv_bid", "iv_ask"))
        is_inside = (low <= model) & (model <= high)
        assert row["inside_spread_share"] == pytest.approx(is_inside.mean())


def test_stored_shapes_follow_from_stored_parameters(fits):
    """Undiscounted forward delta: N(d1) of calls, N(d1) - 1 of puts; solved independently."""
    for row in fits.iter_rows(named=True):
        smile, tte = raw(row), row["tte_years"]
        assert row["atm_vol"] == pytest.approx(vol_of(smile, tte)(0.0), abs=1e-8)

        def vol_at(delta, smile=smile, tte=tte):
            def miss(k):
                root = np.sqrt(smile.total_variance(k))
                return norm.cdf(-k / root + 0.5 * root) - delta

            reach = 6.0 * np.sqrt(smile.total_variance(0.0))
            return vol_of(smile, tte)(brentq(miss, -reach, reach, xtol=1e-14))

        put, call = vol_at(0.75), vol_at(0.25)
        assert row["skew_25delta"] == pytest.approx(put - call, abs=1e-8)
        wings = 0.5 * (put + call) - row["atm_vol"]
        assert row["butterfly_25delta"] == pytest.approx(wings, abs=1e-8)
        assert row["left_wing_slope"] == pytest.approx(smile.left_slope)
        assert row["right_wing_slope"] == pytest.approx(smile.right_slope)


def test_stored_parameters_keep_their_bounds_and_admit_no_butterfly(fits):
    assert fits.height > 40
    k = np.linspace(-3.0, 3.0, 2001)
    for row in fits.iter_rows(named=True):
        smile = raw(row)  # refuses b < 0, sigma <= 0, |rho| >= 1
        assert smile.min_total_variance >= 0.0
        assert smile.is_butterfly_free
        assert (smile.durrleman_g(k) >= 0.0).all()
        assert row["min_durrleman_g"] == pytest.approx(smile.min_durrleman_g(), abs=1e-9)
    assert (fits["butterfly_arbitrage_violations"] == 0).all()
    assert (fits["left_wing_slope"] <= 2.0).all()
    assert (fits["right_wing_slope"] <= 2.0).all()
    assert fits["atm_vol_std_error"].is_between(0.0, 0.05, closed="none").all()


def flagged_as_it_is(rows):
    """Check the stored calendar verdict of each adjacent pair against the parameters."""
    for near, far in pairwise(rows):
        low, high = max(near["k_min"], far["k_min"]), min(near["k_max"], far["k_max"])
        k = np.linspace(low, high, 1001)
        rise = raw(far).total_variance(k) - raw(near).total_variance(k)
        is_clean = rise.min() >= -1e-9
        assert (far["calendar_arbitrage_violations"] == 0) == is_clean
        assert far["passes_no_arbitrage"] == is_clean
        slope = rise.min() / (far["tte_years"] - near["tte_years"])
        assert far["min_calendar_slope"] == pytest.approx(slope, abs=1e-4)


def test_calendar_arbitrage_is_repaired_or_flagged(fits, tmp_path):
    for _, rows in fits.group_by("quote_date", "root", "model_type"):
        flagged_as_it_is(list(rows.sort("expiration_date").iter_rows(named=True)))
    falling = [expiry(in_days(n), vol, half_share=0.05) for n, vol in ((30, 0.20), (33, 0.188))]
    found = smiles_of(tmp_path, pl.concat(falling))
    assert found["status"].to_list() == ["fitted"] * 2
    flagged_as_it_is(list(found.iter_rows(named=True)))


def test_every_expiry_has_a_row_with_a_fit_or_a_reason(simulated):
    smiles = simulated.read("fitted_surfaces")
    forwards = simulated.read("implied_forwards")
    key = ["root", "quote_date", "expiration_date"]
    for model in SLICE_MODELS:
        found = smiles.filter(pl.col("model_type") == model).select(key)
        assert found.sort(key).equals(forwards.select(key).sort(key))
    assert smiles.filter(pl.col("status") != "fitted")["reason"].is_not_null().all()
    assert set(smiles["status"]) <= {"fitted", "skipped"}
    skipped = smiles.filter(pl.col("status") == "skipped")["reason"]
    too_few, unusable = r"^\d+ strikes to fit, needs 10$", "% of rows unusable; nothing to carry$"
    assert skipped.str.contains(f"{too_few}|{unusable}|^expired$").all()


def test_a_refit_changes_nothing(simulated):
    day = date(2025, 8, 6)
    settings = settings_of(simulated.root.parent)
    before = simulated.content_hash("fitted_surfaces", day)
    written = fitted_surfaces.refresh(simulated, settings, day, force=True)
    assert not written.changed
    assert simulated.content_hash("fitted_surfaces", day) == before


NEAR, FAR = in_days(40), in_days(90)


def test_one_core_and_many_give_the_same(simulated, monkeypatch):
    settings = settings_of(simulated.root.parent)
    session = fitted_surfaces.session(simulated, settings, simulated.days("option_quotes")[-1])
    together = fitted_surfaces.compute(session)
    monkeypatch.setattr(smiles, "THREADS", 1)
    assert fitted_surfaces.compute(session).equals(together)


def corrupt(day):
    """Of the near expiry nine quotes in ten are crossed: too few are left."""
    chain = pl.concat([smiling(NEAR, day), smiling(FAR, day)])
    spoilt = (pl.col("expiration_date") == NEAR) & (pl.int_range(pl.len()) % 10 > 0)
    return alter(chain, spoilt, bid=pl.col("ask") * 1.1)


@pytest.fixture(scope="module")
def carried(tmp_path_factory):
    """One good session, then corrupt ones until the parameters are too old."""
    days = sessions(DAY, in_days(14))[: CARRY_SESSIONS + 2]
    good = pl.concat([smiling(NEAR), smiling(FAR)])
    home = tmp_path_factory.mktemp("carried")
    return smiles_of(home, pl.concat([good, *(corrupt(day) for day in days[1:])]))


def test_a_corrupt_expiry_carries_the_last_parameters_and_says_so(carried):
    first = carried.filter(pl.col("quote_date") == DAY).row(0, named=True)
    later = carried.filter(pl.col("expiration_date") == NEAR, pl.col("quote_date") > DAY)
    kept = later.head(CARRY_SESSIONS)
    assert kept["status"].to_list() == ["carried"] * CARRY_SESSIONS
    assert set(kept["parameters_date"]) == {DAY}
    for name in PARAMETERS:
        assert set(kept[name]) == {first[name]}
    assert kept["reason"].str.contains(r"^(89|90) % of rows unusable$").all()
    gone = later.row(-1, named=True)
    assert gone["status"] == "skipped"
    assert gone["reason"].endswith("% of rows unusable; nothing to carry")
    assert gone["svi_a"] is None


def test_a_corrupt_expiry_leaves_the_others(carried):
    far = carried.filter(pl.col("expiration_date") == FAR)
    assert set(far["status"]) == {"fitted"}
    assert far["atm_vol"].std() < 1e-3


def test_what_remains_of_a_half_spoilt_expiry_is_fitted(tmp_path):
    chain = alter(smiling(NEAR), pl.col("strike") % 3 > 0, bid=pl.col("ask") * 1.1)
    (row,) = smiles_of(tmp_path, chain).iter_rows(named=True)
    assert row["status"] == "fitted"
    assert row["num_points"] < 20
    tte = row["tte_years"]
    assert row["atm_vol"] == pytest.approx(vol_of(svi(tte), tte)(0.0), abs=5e-5)


def test_nothing_later_than_the_day_is_carried(tmp_path):
    day_before = previous_session(DAY)
    chain = pl.concat([corrupt(day_before), pl.concat([smiling(NEAR), smiling(FAR)])])
    lake, settings = lake_of(tmp_path, chain, only=TABLES)
    fitted_surfaces.refresh(lake, settings, day_before, force=True)
    row = standard(lake, [day_before]).sort("expiration_date").row(0, named=True)
    assert row["status"] == "skipped"
    assert row["parameters_date"] is None


def test_a_fit_that_does_not_converge_is_carried_or_failed(tmp_path):
    days = last_sessions(DAY, 2)
    chain = pl.concat([smiling(NEAR, day, noise=0.02) for day in days])
    lake, settings = lake_of(tmp_path, chain, only=TABLES)
    short = settings_of(tmp_path, svi_max_iterations=1)
    make(lake, short, days[1:], TABLES)
    (row,) = standard(lake, days[1:]).iter_rows(named=True)
    assert (row["status"], row["parameters_date"]) == ("carried", days[0])
    assert row["reason"] == (
        "no convergence: not_converged after 8 evaluations from start 0, 42 quotes"
    )
    make(lake, short, days[:1], TABLES)
    (row,) = standard(lake, days[:1]).iter_rows(named=True)
    assert row["status"] == "failed"
    assert row["reason"].endswith("42 quotes; nothing to carry")
    assert settings.svi_max_iterations == 1000


def test_one_bad_expiry_leaves_the_others_exactly(tmp_path):
    chain = pl.concat([smiling(in_days(n), noise=0.01) for n in (30, 60, 90)])
    last = pl.col("expiration_date") == in_days(90)
    bad = alter(chain, last, bid=-1.0)
    good = smiles_of(tmp_path / "good", chain).head(2)
    found = smiles_of(tmp_path / "bad", bad)
    assert found.head(2).equals(good)
    assert found["status"].to_list() == ["fitted", "fitted", "skipped"]


def test_an_expiry_without_forward_is_skipped_with_a_reason(tmp_path):
    puts = smiling(in_days(30), underlying_price=0.0).filter(pl.col("option_type") == "PUT")
    (row,) = smiles_of(tmp_path, puts, flat_curve()).iter_rows(named=True)
    assert (row["status"], row["reason"]) == ("skipped", "0 strikes to fit, needs 10")


def test_the_same_strike_on_both_sides_counts_once(tmp_path):
    """A strike at the forward is out of the money as a call only."""
    chain = smiling(in_days(30), forward=100.0, strikes=np.arange(95.0, 105.0))
    (row,) = smiles_of(tmp_path, chain).iter_rows(named=True)
    assert row["num_points"] == 10


def test_rows_in_another_order_and_other_symbols_change_nothing(tmp_path):
    own = pl.concat([smiling(in_days(n), noise=0.01) for n in (30, 60)])
    other = expiry(in_days(45), 0.4, symbol="NDX", strikes=STRIKES)
    both = pl.concat([own, other]).sample(fraction=1.0, shuffle=True, seed=2)
    mixed = smiles_of(tmp_path / "mixed", both)
    assert mixed.filter(pl.col("symbol") == "SPX").equals(smiles_of(tmp_path / "own", own))


def test_one_spoilt_quote_hardly_moves_a_smile(tmp_path):
    chain = smiling(in_days(60))
    dearer = {side: pl.col(side) + 0.1 for side in ("bid", "ask")}
    spoilt = alter(chain, is_contract("PUT", 90.0), **dearer)
    fair, moved = smiles_of(tmp_path / "a", chain), smiles_of(tmp_path / "b", spoilt)
    assert moved["atm_vol"][0] == pytest.approx(fair["atm_vol"][0], abs=2e-4)


def test_an_empty_session_gives_an_empty_table(tmp_path):
    settings = settings_of(tmp_path)
    lake = Lake(settings.lake_root)
    session = fitted_surfaces.session(lake, settings, DAY - timedelta(days=1))
    assert fitted_surfaces.compute(session).is_empty()
