"""Heston's row of a session: recovery of a known law, where the search begins, what is carried."""

import logging
from datetime import timedelta
from statistics import NormalDist

import numpy as np
import polars as pl
import pytest

from tests.assets.handmade import DAY, RATE, expiry, in_days, lake_of
from tests.assets.pipeline import make, simulated_lake
from volsurf_assets.stochastic_vol import decide
from volsurf_math.heston import Heston
from volsurf_resources.exchange_calendar import last_sessions
from volsurf_resources.settings import Settings
from volsurf_tables.market import INDEX_LEVELS
from volsurf_tables.stochastic_vol import HESTON_PARAMETERS

LAW = Heston(kappa=2.5, theta=0.05, sigma=0.6, rho=-0.6, v0=0.03)
EXPIRIES = (30, 60, 120, 240, 480, 700)
WIDER = np.arange(72.0, 130.0, 2.0)
BEFORE = last_sessions(DAY, 2)[0]
MADE = ["implied_forwards", "option_quotes", "heston_surfaces"]


def prices(law):
    def price(strike, tte, forward, vol, is_call):
        return np.exp(-RATE * tte) * law.undiscounted_price(forward, strike, tte, is_call)

    return price


def chain(law=LAW, day=DAY, days=EXPIRIES, strikes=WIDER, **named):
    """Exact prices of a law at expiries a month to two years away."""
    return pl.concat(
        expiry(in_days(n, day), strikes=strikes, day=day, price=prices(law), **named) for n in days
    )


def impossible(day=DAY):
    """Expiries of 150 % and of 10 % in turn: no diffusion, an arbitrage at every strike."""
    terms = zip((30, 60, 120, 240), (1.5, 0.1, 1.5, 0.1), strict=True)
    return pl.concat(expiry(in_days(n, day), vol, day=day, half_share=0.05) for n, vol in terms)


def levels(**by_day):
    """VIX of DAY, and of the session before."""
    rows = {"index": "VIX", "snapshot": "EOD"}
    days = {"today": DAY, "before": BEFORE}
    return [
        pl.DataFrame([rows | {"quote_date": days[when], "close": close}], INDEX_LEVELS.schema)
        for when, close in by_day.items()
    ]


def rows_of(home, *chains, vix=(), **settings):
    """Rows of all chains, the days in order."""
    lake, in_force = lake_of(home, pl.concat(chains), only=[], settings=settings)
    for frame in vix:
        lake.replace("index_levels", frame["quote_date"][0], frame)
    make(lake, in_force, lake.days("raw_options_chains"), MADE)
    return lake.read("heston_surfaces").rows(named=True)


@pytest.fixture(scope="module")
def exact(tmp_path_factory):
    (row,) = rows_of(tmp_path_factory.mktemp("exact"), chain())
    return row


def test_a_known_law_is_recovered_from_its_chain(exact):
    """From bid and ask, through forwards by parity and our own vols, to the parameters."""
    for name in HESTON_PARAMETERS:
        assert exact[name] == pytest.approx(getattr(LAW, name), rel=2e-3), name
    assert exact["status"] == "fitted"
    assert exact["reason"] is None
    assert exact["parameters_date"] == DAY
    assert exact["rmse"] < 0.01
    assert exact["holdout_rmse"] < 0.01
    assert exact["r_squared"] > 0.9999
    assert exact["within_2_pct_share"] > 0.99
    assert exact["feller_ratio"] == pytest.approx(LAW.feller_ratio, rel=5e-3)
    assert exact["is_feller"] is False
    assert (exact["n_expiries"], exact["is_global"]) == (6, False)


def test_recovery_under_noise_stays_within_its_error_bars(tmp_path):
    """R251 with maturities to two years, where kappa can be told: quotes moved by 0.5 %."""
    rows = chain()
    noise = 1.0 + 0.005 * np.random.default_rng(5).standard_normal(rows.height)
    moved = rows.with_columns(pl.col(side) * noise for side in ("bid", "ask"))
    (row,) = rows_of(tmp_path, moved)
    for name in HESTON_PARAMETERS:
        error = abs(row[name] - getattr(LAW, name))
        assert error < 0.1 * abs(getattr(LAW, name)), name
        assert error < 5.0 * row[f"{name}_std_error"], name


def test_the_market_that_is_simulated_is_fitted(tmp_path):
    """Its law has jumps besides: Heston comes near, with the spot correlation's sign right."""
    days = last_sessions(DAY, 2)
    lake, _ = simulated_lake(tmp_path, days, only=MADE)
    found = lake.read("heston_surfaces")
    assert found["status"].to_list() == ["fitted"] * 2
    assert found["rmse"].max() < 0.5
    assert found["r_squared"].min() > 0.98
    assert (found["rho"] < -0.3).all()


def test_the_same_quotes_give_the_same_row(tmp_path, exact):
    shuffled = chain().sample(fraction=1.0, shuffle=True, seed=2)
    assert rows_of(tmp_path, shuffled) == [exact]


def test_another_symbol_beside_it_changes_nothing(tmp_path, exact):
    other = chain(Heston(kappa=1.0, theta=0.09, sigma=0.9, rho=-0.2, v0=0.2), symbol="NDX")
    found = {row["symbol"]: row for row in rows_of(tmp_path, other, chain())}
    assert found["SPX"] == exact
    assert found["NDX"]["v0"] == pytest.approx(0.2, rel=0.05)


def test_up_to_so_many_options_are_fitted_and_every_liquid_one_judges(tmp_path, exact):
    (row,) = rows_of(tmp_path, chain(), heston_max_options=30)
    assert row["n_options"] <= 30 < exact["n_options"]
    assert row["n_expiries"] == 6
    assert row["n_quotes"] == exact["n_quotes"] > exact["n_options"] / 2
    assert row["rmse"] < 0.02


def test_a_law_beyond_the_bounds_stands_at_them_and_says_so(tmp_path):
    (row,) = rows_of(tmp_path, chain(), heston_upper=(10.0, 1.0, 0.4, 0.99, 1.0))
    assert row["sigma"] == pytest.approx(0.4)
    assert (row["status"], row["reason"]) == ("fitted", "a parameter stands at its bound")


def test_a_penalty_pulls_towards_fellers_condition(tmp_path, exact):
    """R246: its switch changes the result."""
    (held,) = rows_of(tmp_path, chain(), heston_feller_penalty=10.0)
    assert held["feller_ratio"] > exact["feller_ratio"] + 0.1
    assert held["rmse"] > exact["rmse"]


THIN = {
    "one expiry": (chain(days=(60,)), "1 expiries"),
    "few strikes": (chain(days=(60, 90), strikes=np.array([95.0, 100.0, 105.0])), "needs 10 of 2"),
    "no bids": (chain(bid=0.0), "0 options of 0 expiries"),
}


@pytest.mark.parametrize(("rows", "said"), THIN.values(), ids=list(THIN))
def test_a_chain_that_tells_too_little_is_skipped_with_a_reason(tmp_path, rows, said):
    (row,) = rows_of(tmp_path, rows)
    assert row["status"] == "skipped"
    assert said in row["reason"]
    assert row["kappa"] is None
    assert row["parameters_date"] is None


def test_an_impossible_chain_has_no_parameters(tmp_path):
    (row,) = rows_of(tmp_path, impossible())
    assert row["status"] == "failed"
    assert row["reason"].startswith("no convergence: ")
    assert row["reason"].endswith("; nothing to carry")
    assert row["kappa"] is None


def test_after_an_impossible_chain_the_last_parameters_stand_flagged(tmp_path):
    """R249, by injection: yesterday's quotes are of a law, today's of none."""
    before, today = rows_of(tmp_path, chain(day=BEFORE), impossible())
    assert (before["status"], today["status"]) == ("fitted", "carried")
    assert today["reason"].startswith("no convergence: ")
    assert (today["quote_date"], today["parameters_date"]) == (DAY, BEFORE)
    for name in (*HESTON_PARAMETERS, "rmse", "feller_ratio"):
        assert today[name] == before[name], name


def test_parameters_are_carried_for_five_sessions_and_only_from_a_fit(tmp_path):
    days = last_sessions(DAY, 7)
    thin = [chain(day=day, days=(60,)) for day in days[1:]]
    found = rows_of(tmp_path, chain(day=days[0]), *thin)
    assert [row["status"] for row in found] == ["fitted", *["carried"] * 5, "skipped"]
    assert {row["parameters_date"] for row in found[:6]} == {days[0]}


def test_a_quiet_vix_begins_at_the_last_parameters(tmp_path):
    """R288: warm if VIX moved by less than 5 %."""
    vix = levels(before=20.0, today=20.9)
    before, today = rows_of(tmp_path / "quiet", chain(day=BEFORE), chain(), vix=vix)
    assert (before["start"], before["start_reason"]) == ("full", "no parameters to begin at")
    assert (today["start"], today["start_reason"]) == (
        "warm", f"VIX moved by +4.5 % since {BEFORE}"
    )  # fmt: skip
    assert today["vix_change_pct"] == pytest.approx(4.5)
    for name in HESTON_PARAMETERS:
        assert today[name] == pytest.approx(getattr(LAW, name), rel=2e-3), name

    vix = levels(before=20.0, today=21.1)
    _, loud = rows_of(tmp_path / "loud", chain(day=BEFORE), chain(), vix=vix)
    assert (loud["start"], loud["vix_change_pct"]) == ("full", pytest.approx(5.5))
    assert loud["kappa"] == pytest.approx(today["kappa"], rel=1e-4)


def test_an_unknown_vix_means_a_full_search(tmp_path):
    _, today = rows_of(tmp_path, chain(day=BEFORE), chain(), vix=levels(before=20.0))
    assert today["start"] == "full"
    assert today["start_reason"] == f"no level of VIX is known of {DAY}"
    assert today["vix_change_pct"] is None


def test_a_warm_start_that_ends_above_the_limit_is_given_up(tmp_path):
    """VIX stands still, but no error is small enough: the search begins anew, and says so."""
    vix = levels(before=20.0, today=20.0)
    chains = chain(day=BEFORE, days=(60, 240)), chain(days=(60, 240))
    _, today = rows_of(tmp_path, *chains, vix=vix, heston_global_rmse_vol_points=0.0)
    assert (today["start"], today["is_global"]) == ("full", True)
    assert today["start_reason"].endswith("but the fit from there was poor")


def test_the_session_counts_from_the_last_fit_not_from_yesterday(exact):
    """Over a gap the change of VIX is that since the session whose parameters are at hand."""
    fitted = {name: exact[name] for name in HESTON_PARAMETERS}
    long_ago = DAY - timedelta(days=5)
    start = decide(
        fitted | {"quote_date": long_ago},
        {long_ago: 20.0, DAY: 20.2},
        DAY,
        Settings(_env_file=None),
    )
    assert start.parameters == fitted
    assert start.reason == f"VIX moved by +1.0 % since {long_ago}"


def test_start_and_fellers_condition_are_logged(tmp_path, caplog):
    """R246 and R288."""
    with caplog.at_level(logging.INFO, logger="volsurf.assets"):
        rows_of(tmp_path, chain())
    (said,) = [record.getMessage() for record in caplog.records if "Heston" in record.getMessage()]
    assert "full start: no parameters to begin at" in said
    assert "Feller ratio 0.69" in said


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    tables = ["fitted_surfaces", "term_structure_params", "surface_points"]
    return lake_of(tmp_path_factory.mktemp("lake"), chain(), only=[*MADE, *tables])[0]


def test_its_vols_stand_on_the_grid_where_quotes_support_them(lake):
    """R245, against the law itself: at log-moneyness, and at the deltas of its own vols."""
    points = lake.read("surface_points")
    grid = points.filter(pl.col("model_type") == "HESTON")
    assert grid.height == points.filter(pl.col("model_type") == "SVI").height
    found = grid.filter(pl.col("status") == "interpolated")
    assert found.height > 100
    k, vol, tte = (
        found[name].to_numpy() for name in ("log_moneyness", "implied_vol", "tenor_days")
    )
    truth = LAW.implied_vol(1.0, np.exp(k), tte / 365)
    assert np.abs(vol - truth).max() < 1e-4
    root = vol * np.sqrt(tte / 365)
    call_delta = NormalDist().cdf
    for at, r, axis, x in zip(k, root, found["axis"], found["coordinate"], strict=True):
        delta = call_delta(-at / r + 0.5 * r)
        assert x == pytest.approx(at if axis == "log_moneyness" else delta - (x < 0), abs=1e-6)
    outside = grid.filter(pl.col("status") == "unsupported")
    assert outside.filter(pl.col("tenor_days").is_in([7, 14, 730])).height == 3 * 18
    assert outside["implied_vol"].null_count() == outside.height
    far = outside.filter(pl.col("tenor_days") == 60, pl.col("coordinate") == -0.3)
    assert far["reason"].to_list() == ["outside the quoted strikes"]


def test_parameters_stand_in_the_missions_view(lake):
    found = lake.sql("FROM model_parameters WHERE model_type = 'HESTON'")
    assert found.height == 1
    assert '"kappa":2.' in found["parameters"][0]
