"""eSSVI: reference values, conditions, and joint fits free of arbitrage on the whole line."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from volsurf_math.arbitrage import calendar_slope
from volsurf_math.smiles.base import FitStatus
from volsurf_math.smiles.svi import RawSvi
from volsurf_math.smiles.svi_quantities import smile_quantities
from volsurf_math.surfaces.essvi import Essvi, fit_essvi
from volsurf_math.surfaces.essvi_fit import N_CONDITIONS, conditions

REFERENCE = json.loads((Path(__file__).parent.parent / "reference" / "essvi.json").read_text())
LINE = np.sinh(np.linspace(-5.0, 5.0, 801))


@dataclass(frozen=True)
class Market:
    k: np.ndarray
    w: np.ndarray
    weight: np.ndarray
    offsets: np.ndarray
    tte: np.ndarray
    truth: Essvi


def random_market(rng, n_slices=12, n_strikes=40, noise=0.0, level_noise=0.0):
    """An eSSVI surface of 1 week to 2.5 years; noise of single volatilities and of whole slices."""
    tte = np.sort(np.exp(rng.uniform(np.log(0.02), np.log(2.5), n_slices)))
    theta = rng.uniform(0.12, 0.4) ** 2 * tte * (1.0 + 0.2 * np.sqrt(tte))
    rho = -0.75 + rng.uniform(0.0, 0.4) * np.sqrt(tte / 2.5)
    psi = theta * rng.uniform(0.6, 1.1) * theta**-0.45 / (1.0 + theta) ** 0.55
    truth = Essvi(theta=theta, rho=rho, psi=psi)
    k = np.sort(rng.uniform(-3.0, 2.0, (n_slices, n_strikes)), axis=1) * np.sqrt(theta)[:, None]
    vol = np.sqrt(truth.total_variance(k) / tte[:, None])
    vol = vol + noise * rng.uniform(-1.0, 1.0, k.shape)
    vol = vol * np.exp(level_noise * rng.normal(size=(n_slices, 1)))
    w = vol**2 * tte[:, None]
    return Market(
        k=k.ravel(), w=w.ravel(), weight=(4.0 * w * tte[:, None]).ravel() ** -1,
        offsets=np.arange(n_slices + 1) * n_strikes, tte=tte, truth=truth,
    )  # fmt: skip


def check_no_arbitrage(surface):
    """By the conditions, and by measure: density on the whole line, growth on a wide one."""
    assert surface.is_arbitrage_free
    raw = surface.raw_svi()
    for a, b, rho, m, sigma in raw:
        assert RawSvi(a=a, b=b, rho=rho, m=m, sigma=sigma).is_butterfly_free
    if len(raw) > 1:
        slope = calendar_slope(raw, np.arange(1.0, len(raw) + 1), LINE)
        assert (slope.min_gap >= 0.0).all()
        assert (slope.left_wing_gap >= 0.0).all()
        assert (slope.right_wing_gap >= 0.0).all()


class TestReference:
    @pytest.mark.parametrize(
        "family", REFERENCE["ssvi"], ids=lambda f: f"{f['family']}{f['params']}"
    )
    def test_ssvi_slices(self, family):
        rows = family["rows"]
        theta, phi = (np.array([row[name] for row in rows]) for name in ("theta", "phi"))
        surface = Essvi.from_ssvi(theta, family["rho"], phi)
        k, w = np.moveaxis(np.array([row["w"] for row in rows]), -1, 0)
        np.testing.assert_allclose(surface.total_variance(k), w, rtol=1e-13)
        np.testing.assert_allclose(surface.raw_svi(), [row["raw"] for row in rows], rtol=1e-13)
        room = 4.0 - np.array([[row["theta_phi_1p"], row["theta_phi2_1p"]] for row in rows])
        np.testing.assert_allclose(surface.butterfly_room, room.min(axis=1), rtol=1e-13)
        assert all(row["gj_butterfly_sufficient"] and row["gj_calendar"] for row in rows)
        check_no_arbitrage(surface)

    def test_power_law(self):
        family = next(f for f in REFERENCE["ssvi"] if f["family"] == "power_gj")
        theta, phi = (np.array([row[name] for row in family["rows"]]) for name in ("theta", "phi"))
        surface = Essvi.from_power_law(theta, rho=family["rho"], **family["params"])
        np.testing.assert_allclose(surface.psi / surface.theta, phi, rtol=1e-14)

    @pytest.mark.parametrize("pair", REFERENCE["essvi_pairs"])
    def test_pairs(self, pair):
        theta, rho, phi = (
            np.array([pair[s][name] for s in ("s1", "s2")]) for name in ("theta", "rho", "phi")
        )
        surface = Essvi(theta=theta, rho=rho, psi=theta * phi)
        assert (surface.calendar_room[0] >= 0.0) == pair["hm_sufficient"]
        slope = calendar_slope(surface.raw_svi(), np.array([1.0, 2.0]), LINE)
        assert (slope.min_gap[0] < 0.0) == bool(pair["crossings"])

    @pytest.mark.parametrize(
        "wrong",
        [{"rho": np.array([1.0])}, {"theta": np.array([0.0])}, {"psi": np.array([np.nan])},
         {"psi": np.ones(2)}],
    )  # fmt: skip
    def test_refuses_what_is_no_surface(self, wrong):
        given = {"theta": np.array([0.04]), "rho": np.array([-0.5]), "psi": np.array([0.2])}
        with pytest.raises(ValueError, match="eSSVI needs"):
            Essvi(**(given | wrong))


class TestFit:
    def test_clean_surfaces_are_recovered(self):
        rng = np.random.default_rng(1)
        for _ in range(40):
            market = random_market(rng)
            fit = fit_essvi(market.k, market.w, market.weight, market.offsets)
            assert fit.status is FitStatus.CONVERGED
            for name in ("theta", "rho", "psi"):
                np.testing.assert_allclose(
                    getattr(fit.surface, name), getattr(market.truth, name), rtol=1e-8
                )

    @pytest.mark.parametrize(("noise", "level_noise"), [(0.003, 0.0), (0.03, 0.0), (0.01, 0.3)])
    def test_noisy_surfaces_have_no_arbitrage(self, noise, level_noise):
        rng = np.random.default_rng(2)
        for _ in range(40):
            market = random_market(rng, noise=noise, level_noise=level_noise)
            fit = fit_essvi(market.k, market.w, market.weight, market.offsets)
            assert fit.status is FitStatus.CONVERGED
            check_no_arbitrage(fit.surface)
            if not level_noise:
                error = fit.surface.total_variance(
                    market.k.reshape(12, -1)
                ) - market.truth.total_variance(market.k.reshape(12, -1))
                vol_error = error.ravel() * np.sqrt(market.weight)
                assert np.sqrt(np.mean(vol_error**2)) < 0.6 * noise

    @pytest.mark.parametrize("level_noise", [0.0, 0.3])
    def test_reaches_the_optimum_of_slsqp(self, level_noise):
        rng = np.random.default_rng(3)
        for _ in range(3):
            market = random_market(rng, n_slices=5, noise=0.005, level_noise=level_noise)
            fit = fit_essvi(market.k, market.w, market.weight, market.offsets)
            assert fit.cost < 1.0001 * slsqp_cost(market, fit.surface)

    def test_standard_errors_cover_the_truth(self):
        pulls = []
        for seed in range(60):
            market = random_market(np.random.default_rng(100 + seed), n_slices=3, n_strikes=60)
            rng = np.random.default_rng(seed)
            w = market.w * (1.0 + 0.005 * rng.normal(size=market.w.size))
            fit = fit_essvi(market.k, w, market.w**-2, market.offsets)
            for j, name in enumerate(("theta", "rho", "psi")):
                error = getattr(fit.surface, name) - getattr(market.truth, name)
                is_free = fit.surface.calendar_room.min() > 0.02
                if is_free:
                    pulls.append(error / np.sqrt(fit.covariance[:, j, j]))
        assert len(pulls) > 60
        assert 0.8 < np.std(pulls) < 1.2

    def test_a_parameter_that_quotes_leave_open_has_no_error_bar(self):
        k = np.concatenate((np.full(20, 1e-9), [2e-9, 3e-9], np.linspace(-0.3, 0.3, 20)))
        w = np.where(k < 1e-8, 0.04, 0.06) * np.ones(k.size)
        w[22:] = 0.06 * (1.0 - 0.3 * k[22:] + k[22:] ** 2)
        fit = fit_essvi(k, w, np.ones(k.size), np.array([0, 22, 42]))
        assert np.isinf(np.diag(fit.covariance[0])).all()
        assert np.isfinite(fit.covariance[1]).all()

    def test_one_wild_quote_moves_the_robust_fit_little(self):
        market = random_market(np.random.default_rng(4))
        weight = market.weight / 0.002**2
        wild = market.w.copy()
        wild[100] *= 4.0
        plain = fit_essvi(market.k, wild, weight, market.offsets)
        robust = fit_essvi(market.k, wild, weight, market.offsets, loss_scale=1.0)
        grid = market.k.reshape(12, -1)
        truth = np.sqrt(market.truth.total_variance(grid) / market.tte[:, None])
        miss = [
            np.abs(np.sqrt(f.surface.total_variance(grid) / market.tte[:, None]) - truth)[2, 15:25]
            for f in (plain, robust)
        ]
        assert miss[1].max() < 0.004  # two half-spreads
        assert miss[0].max() > 3.0 * miss[1].max()

    def test_scale_of_the_weights_does_not_matter(self):
        market = random_market(np.random.default_rng(5), noise=0.01)
        one = fit_essvi(market.k, market.w, market.weight, market.offsets)
        other = fit_essvi(market.k, market.w, 1e-9 * market.weight, market.offsets)
        np.testing.assert_allclose(one.surface.psi, other.surface.psi, rtol=1e-9)
        np.testing.assert_allclose(1e-9 * one.cost, other.cost, rtol=1e-9)

    def test_slices_of_too_few_strikes_are_left_out(self):
        market = random_market(np.random.default_rng(6))
        w = market.w.copy()
        w[40:78] = np.nan  # two quotes left in slice 1
        w[81:119] = -1.0  # two in slice 2
        fit = fit_essvi(market.k, w, market.weight, market.offsets)
        np.testing.assert_array_equal(fit.fitted, [0, 3, 4, 5, 6, 7, 8, 9, 10, 11])
        np.testing.assert_allclose(fit.surface.theta, market.truth.theta[fit.fitted], rtol=1e-8)
        assert fit.rmse.shape == (10,)

    def test_nothing_to_fit(self):
        fit = fit_essvi(np.zeros(2), np.ones(2), np.ones(2), np.array([0, 1, 2]))
        assert fit.status is FitStatus.TOO_FEW_POINTS
        assert fit.surface is None
        empty = fit_essvi(np.empty(0), np.empty(0), np.empty(0), np.array([0]))
        assert empty.status is FitStatus.TOO_FEW_POINTS

    def test_one_slice(self):
        market = random_market(np.random.default_rng(7), n_slices=1)
        fit = fit_essvi(market.k, market.w, market.weight, market.offsets)
        np.testing.assert_allclose(fit.surface.rho, market.truth.rho, rtol=1e-8)

    def test_quotes_of_no_surface_at_all_never_raise(self):
        rng = np.random.default_rng(8)
        for _ in range(60):
            n = int(rng.integers(1, 9))
            sizes = rng.integers(0, 12, n)
            offsets = np.cumsum([0, *sizes])
            k = rng.choice(np.linspace(-0.4, 0.4, 9), offsets[-1])  # strikes repeat
            w = np.exp(rng.uniform(-9.0, 0.0, offsets[-1]))
            fit = fit_essvi(k, w, np.exp(rng.uniform(-3.0, 3.0, offsets[-1])), offsets)
            if fit.status is FitStatus.CONVERGED:
                check_no_arbitrage(fit.surface)
            else:
                assert fit.surface is None

    def test_falling_variance_is_met_by_the_nearest_rising_one(self):
        k = np.tile(np.linspace(-0.3, 0.3, 21), 2)
        w = np.repeat([0.05, 0.04], 21) * (1.0 + k**2 - 0.3 * k)
        fit = fit_essvi(k, w, np.ones(42), np.array([0, 21, 42]))
        check_no_arbitrage(fit.surface)
        np.testing.assert_allclose(fit.surface.theta, 0.045, rtol=0.01)

    def test_a_wrong_call_raises(self):
        with pytest.raises(ValueError, match="one shape"):
            fit_essvi(np.zeros(3), np.ones(2), np.ones(3), np.array([0, 3]))
        with pytest.raises(ValueError, match="offsets"):
            fit_essvi(np.zeros(3), np.ones(3), np.ones(3), np.array([0, 9]))
        with pytest.raises(ValueError, match="loss_scale"):
            fit_essvi(np.zeros(3), np.ones(3), np.ones(3), np.array([0, 3]), loss_scale=0.0)


def slsqp_cost(market, start):
    """Cost of SciPy's SLSQP under the same conditions, from our surface and from the truth."""
    from scipy.optimize import minimize

    n = len(market.tte)
    slices = np.repeat(np.arange(n), np.diff(market.offsets))

    def free(surface):
        right, left = surface.psi * (1.0 + surface.rho), surface.psi * (1.0 - surface.rho)
        return np.column_stack((surface.theta, right, left)).ravel()

    def room(x):
        out = np.empty(N_CONDITIONS * n)
        conditions(x, out)
        return out

    def cost(x):
        theta, u, v = x.reshape(-1, 3)[slices].T
        psi, skew = 0.5 * (u + v), 0.5 * (u - v)
        root = np.sqrt(psi**2 * market.k**2 + 2.0 * skew * market.k * theta + theta**2)
        return np.sum(market.weight * (0.5 * (theta + skew * market.k + root) - market.w) ** 2)

    scale = free(start)
    found = [
        minimize(
            lambda y: 1e3 * cost(y * scale), x / scale, method="SLSQP",
            constraints={"type": "ineq", "fun": lambda y: room(y * scale)},
            options={"maxiter": 300, "ftol": 1e-12},
        )
        for x in (scale, free(market.truth))
    ]  # fmt: skip
    return min(f.fun for f in found if room(f.x * scale).min() > -1e-9) / 1e3


def test_slopes_of_raw_svi_are_its_derivatives():
    """Central differences, all of one parameter at a time: slices do not depend on each other."""
    surface = random_market(np.random.default_rng(8)).truth
    slopes = surface.raw_svi_slopes()
    columns = {"theta": surface.theta, "rho": surface.rho, "psi": surface.psi}
    for j, (name, values) in enumerate(columns.items()):
        step = 1e-6 * np.abs(values)
        up, down = (Essvi(**(columns | {name: values + s * step})).raw_svi() for s in (1.0, -1.0))
        difference = (up - down) / (2.0 * step[:, None])
        np.testing.assert_allclose(slopes[:, :, j], difference, rtol=1e-6, atol=1e-9)


def test_standard_errors_of_vols_are_the_scatter_of_fits():
    """The covariance in raw SVI parameters gives the scatter over noisy copies of one market."""
    rng = np.random.default_rng(4)
    market = random_market(rng, n_slices=4)
    sd = 0.01 * market.w
    fits = [
        fit_essvi(market.k, market.w + sd * rng.normal(size=sd.size), sd**-2.0, market.offsets)
        for _ in range(150)
    ]
    vols, errors = [], []
    for fit in fits:
        slopes = fit.surface.raw_svi_slopes()
        raw = slopes @ fit.covariance @ slopes.transpose(0, 2, 1)
        found = smile_quantities(fit.surface.raw_svi(), raw, market.tte)
        vols.append((found.atm_vol, found.skew_25delta))
        errors.append((found.atm_vol_std_error, found.skew_25delta_std_error))
    ratio = np.mean(errors, axis=0) / np.std(vols, axis=0)
    assert (ratio > 0.8).all()
    assert (ratio[0] < 1.3).all()  # a condition that binds the skew makes it better known
