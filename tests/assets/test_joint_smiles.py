"""SSVI beside SVI: one fit for all expiries, each model standing when the other fails; events."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from tests.assets.handmade import DAY, alter, expiry, in_days, lake_of, years_to
from tests.assets.pipeline import make, settings_of
from volsurf_assets import smile_fits
from volsurf_math.smiles.svi_quantities import smile_quantities
from volsurf_math.surfaces.essvi import Essvi
from volsurf_resources.exchange_calendar import last_sessions

TABLES = ["implied_forwards", "option_quotes", "fitted_surfaces"]
PARAMETERS = ["svi_a", "svi_b", "svi_rho", "svi_m", "svi_sigma"]
EXPIRIES = [in_days(n) for n in (14, 60, 180, 400)]
STRIKES = np.arange(70.0, 131.0, 1.0)


def truth(expiries=EXPIRIES, day=DAY):
    """A power-law SSVI surface of about 20 % vol."""
    tte = np.array([years_to(expiration, day) for expiration in expiries])
    return tte, Essvi.from_power_law(0.04 * tte, rho=-0.5, eta=0.9, gamma=0.4)


def chain(expiries=EXPIRIES, day=DAY, half_share=0.01):
    tte, surface = truth(expiries, day)

    def vol(i):
        return lambda k: np.sqrt(surface.variance_at(np.array(i), k) / tte[i])

    return pl.concat(
        expiry(expiration, vol(i), day=day, strikes=STRIKES, half_share=half_share)
        for i, expiration in enumerate(expiries)
    )


def smiles_of(home, quotes, **settings):
    lake, _ = lake_of(home, quotes, only=TABLES, settings=settings)
    return lake.read("fitted_surfaces").sort("model_type", "quote_date", "expiration_date")


def of_model(smiles, model):
    return smiles.filter(pl.col("model_type") == model)


def essvi_of(smiles):
    """Undo the translation into raw SVI; sigma and m must agree with it."""
    a, b, rho, m, sigma = (smiles[name].to_numpy() for name in PARAMETERS)
    theta, psi = 2.0 * a / (1.0 - rho**2), 2.0 * b
    np.testing.assert_allclose(m, -rho * theta / psi, rtol=1e-9)
    np.testing.assert_allclose(sigma, np.sqrt(1.0 - rho**2) * theta / psi, rtol=1e-9)
    return Essvi(theta=theta, rho=rho, psi=psi)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return smiles_of(tmp_path_factory.mktemp("found"), chain(half_share=0.002))


def test_a_known_surface_comes_back(found):
    joint = of_model(found, "SSVI")
    tte, surface = truth()
    assert joint["status"].to_list() == ["fitted"] * len(EXPIRIES)
    fitted = essvi_of(joint)
    for name in ("theta", "rho", "psi"):
        np.testing.assert_allclose(getattr(fitted, name), getattr(surface, name), rtol=2e-3)
    np.testing.assert_allclose(joint["atm_vol"], np.sqrt(surface.theta / tte), atol=2e-5)
    assert joint["rmse"].max() < 0.01
    assert joint["holdout_rmse"].max() < 0.01
    assert joint["model_version"].unique().to_list() == ["essvi-1"]


def test_both_models_are_fitted_to_the_same_quotes(found):
    shared = ["expiration_date", "tte_years", "forward", "num_points", "k_min", "k_max", "side",
              "weighting", "cap_std_devs", "event_bump", "is_event_smile"]  # fmt: skip
    svi, ssvi = (of_model(found, model) for model in ("SVI", "SSVI"))
    assert svi.select(shared).equals(ssvi.select(shared))
    assert not svi.select(PARAMETERS).equals(ssvi.select(PARAMETERS))


def test_a_joint_surface_has_no_arbitrage(tmp_path):
    """Expiries that fall in variance are quoted: the slices stay apart on the whole line."""
    rng = np.random.default_rng(3)
    quotes = pl.concat(
        expiry(in_days(n), vol * rng.uniform(0.97, 1.03), strikes=STRIKES, half_share=0.05)
        for n, vol in ((30, 0.20), (33, 0.19), (60, 0.25), (65, 0.23), (200, 0.2))
    )
    joint = of_model(smiles_of(tmp_path, quotes), "SSVI")
    surface = essvi_of(joint)
    assert surface.butterfly_room.min() > 0.0
    assert surface.calendar_room.min() > -1e-9
    assert joint["passes_no_arbitrage"].all()
    assert (joint["min_calendar_slope"].drop_nulls() >= 0.0).all()
    assert (joint["min_durrleman_g"] > 0.0).all()


def test_error_bars_hold_the_truth(tmp_path):
    """Noise within half a spread, 40 expiries in ten chains."""
    misses = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        quotes = chain()
        move = pl.Series(1.0 + 0.005 * rng.uniform(-1.0, 1.0, quotes.height))
        noisy = quotes.with_columns(bid=pl.col("bid") * move, ask=pl.col("ask") * move)
        tte, surface = truth()
        joint = of_model(smiles_of(tmp_path / str(seed), noisy), "SSVI")
        raw = np.full((tte.size, 5, 5), np.nan)
        skew = smile_quantities(surface.raw_svi(), raw, tte).skew_25delta
        for name, true in (("atm_vol", np.sqrt(surface.theta / tte)), ("skew_25delta", skew)):
            misses.append((joint[name] - true) / joint[f"{name}_std_error"])
    z = np.abs(np.array(misses))
    assert (z < 2.0).mean() > 0.85
    assert z.mean() > 0.2  # not by being modest


@pytest.mark.parametrize(("broken", "standing"), [("SSVI", "SVI"), ("SVI", "SSVI")])
def test_a_model_that_breaks_down_leaves_the_other(tmp_path, monkeypatch, broken, standing):
    """It carries its own last fit, or says that it failed."""
    days = last_sessions(DAY, 2)
    quotes = pl.concat([chain([in_days(40), in_days(90)], day) for day in days])
    lake, settings = lake_of(tmp_path, quotes, only=TABLES)
    fair = lake.read("fitted_surfaces", days[1:])
    before = of_model(lake.read("fitted_surfaces", days[:1]), broken)

    def breaks_down(*_):
        raise np.linalg.LinAlgError("singular matrix")

    model = replace(smile_fits.MODELS[broken], fit=breaks_down)
    monkeypatch.setitem(smile_fits.MODELS, broken, model)
    other = settings_of(settings.volsurf_home, svi_tolerance=2e-7)  # makes all stale
    make(lake, other, [days[1]], TABLES)
    after = lake.read("fitted_surfaces", days[1:])
    assert of_model(after, standing).drop("model_version").height == 2
    np.testing.assert_allclose(
        of_model(after, standing).select(PARAMETERS).to_numpy(),
        of_model(fair, standing).select(PARAMETERS).to_numpy(),
        rtol=1e-4,
    )
    carried = of_model(after, broken)
    assert carried["status"].to_list() == ["carried"] * 2
    assert carried["parameters_date"].to_list() == [days[0]] * 2
    assert carried["svi_a"].to_list() == before["svi_a"].to_list()
    assert set(carried["reason"]) == {"no convergence: LinAlgError: singular matrix"}
    make(lake, other, [days[0]], TABLES)
    failed = of_model(lake.read("fitted_surfaces", days[:1]), broken)
    assert failed["status"].to_list() == ["failed"] * 2
    assert failed["svi_a"].null_count() == 2


def test_a_corrupt_expiry_carries_each_model_s_own_parameters(tmp_path):
    near, days = in_days(40), last_sessions(DAY, 2)
    good, bad = (chain([near, in_days(90)], day) for day in days)
    spoilt = (pl.col("expiration_date") == near) & (pl.int_range(pl.len()) % 10 > 0)
    bad = alter(bad, spoilt, bid=pl.col("ask") * 1.1)
    smiles = smiles_of(tmp_path, pl.concat([good, bad]))
    of_near = smiles.filter(pl.col("expiration_date") == near)
    for model in ("SVI", "SSVI"):
        first, last = of_model(of_near, model).iter_rows(named=True)
        assert (first["status"], last["status"]) == ("fitted", "carried")
        assert [first[p] for p in PARAMETERS] == [last[p] for p in PARAMETERS]


def jumps_and_diffuses(jump, sd):
    """Vol of a forward that jumps up or down by `jump`, then diffuses by `sd`: a W is refused."""
    from volsurf_math.black import undiscounted_price
    from volsurf_math.implied_vol import implied_vol

    def vol(k, tte):
        forwards = np.exp([jump, -jump]) / np.cosh(jump)
        strike, is_call = np.exp(k), k >= 0.0
        price = np.mean([undiscounted_price(f, strike, sd**2, is_call) for f in forwards], axis=0)
        found, _ = implied_vol(price, 1.0, strike, tte, 1.0, is_call)
        return found

    return vol


def test_an_event_is_flagged_and_an_ordinary_smile_is_not(tmp_path):
    near, far = in_days(14), in_days(60)
    event, tte = jumps_and_diffuses(0.05, 0.05), years_to(near)
    quotes = pl.concat([
        expiry(near, lambda k: event(k, tte), strikes=np.arange(85.0, 116.0), half_share=0.01),
        chain([far]),
    ])  # fmt: skip
    smiles = smiles_of(tmp_path, quotes)
    for model in ("SVI", "SSVI"):
        rows = of_model(smiles, model).rows_by_key("expiration_date", named=True, unique=True)
        assert rows[near]["is_event_smile"]
        assert rows[near]["event_bump"] > rows[near]["event_bump_half_spread"]
        assert rows[near]["event_bump"] > 4.0 * rows[near]["event_bump_std_error"]
        assert not rows[far]["is_event_smile"]
        assert rows[far]["event_bump"] < 0.0


def test_where_too_few_quotes_are_near_the_money_no_event_is_told(tmp_path):
    quotes = expiry(in_days(30), 0.2, strikes=[80.0, 82.0, 84.0, 116.0, 118.0])
    row = smiles_of(tmp_path, quotes).row(0, named=True)
    assert row["is_event_smile"] is None
    assert row["event_bump"] is None
