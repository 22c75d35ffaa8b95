"""SABR: the published formula, its limits, validity and fit."""

import json
from pathlib import Path

import numpy as np
import pytest

from volsurf_math.smiles.base import FitStatus
from volsurf_math.smiles.sabr import Sabr, SabrSmile
from volsurf_math.smiles.sabr_slices import fit_slices

REFERENCE = json.loads((Path(__file__).parent.parent / "reference" / "sabr.json").read_text())
K = np.linspace(-0.5, 0.4, 45)


def model(row):
    return Sabr(**{name: row[name] for name in ("alpha", "beta", "rho", "nu")})


def random_sabr(rng, beta):
    """A model on forward 100 with an at-the-money volatility of 10 to 60 %."""
    return Sabr(
        alpha=rng.uniform(0.1, 0.6) * 100.0 ** (1.0 - beta),
        beta=beta,
        rho=rng.uniform(-0.9, 0.6),
        nu=np.exp(rng.uniform(np.log(0.2), np.log(1.5))),
    )


class TestFormula:
    @pytest.mark.parametrize("row", REFERENCE["cases"])
    def test_equals_hagan_2_17a(self, row):
        vol = model(row).implied_vol(row["K"], row["f"], row["T"])
        np.testing.assert_allclose(vol, row["vol"], rtol=1e-12)

    @pytest.mark.parametrize("row", REFERENCE["nu_zero_limit"])
    def test_without_vol_of_vol(self, row):
        for rho in (-0.6, 0.0):
            cev = model(row | {"rho": rho, "nu": 0.0})
            np.testing.assert_allclose(
                cev.implied_vol(row["K"], row["f"], row["T"]), row["vol"], rtol=1e-14
            )
            nearly = model(row | {"rho": rho, "nu": 1e-9})
            np.testing.assert_allclose(
                nearly.implied_vol(row["K"], row["f"], row["T"]), row["vol"], rtol=1e-8
            )

    @pytest.mark.parametrize("row", REFERENCE["normal_vol_beta0"])
    def test_normal_volatility_of_beta_0(self, row):
        vol = model(row | {"beta": 0.0}).normal_vol(row["K"], row["f"], row["T"])
        np.testing.assert_allclose(vol, row["normal_vol"], rtol=1e-14)

    @pytest.mark.parametrize("row", REFERENCE["alpha_from_atm"])
    def test_alpha_from_the_volatility_at_the_money(self, row):
        names = {"atm_vol": "atm_vol", "forward": "f", "tte": "T"}
        given = {name: row[key] for name, key in names.items()}
        sabr = Sabr.from_atm_vol(**given, beta=row["beta"], rho=row["rho"], nu=row["nu"])
        np.testing.assert_allclose(sabr.alpha, row["alpha"], rtol=1e-14)

    @pytest.mark.parametrize("rho", [-0.999, -0.4, 0.0, 0.7, 0.999])
    def test_is_smooth_through_the_money(self, rho):
        smile = Sabr(alpha=0.2, beta=1.0, rho=rho, nu=0.9).at(1.0, 0.5)
        k = np.linspace(-2e-3, 2e-3, 4001)  # crosses from the series to the closed form twice
        second = np.diff(smile.total_variance(k), 2) / 1e-12
        np.testing.assert_allclose(second, smile._by_k(k[1:-1])[2], rtol=0.02, atol=1e-3)

    @pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
    def test_derivatives_in_k_equal_differences(self, beta):
        smile = Sabr(alpha=0.25, beta=beta, rho=-0.5, nu=1.1).at(1.0, 0.7)
        k, step = np.linspace(-1.2, 0.9, 31), 1e-4
        down, here, up = (smile.total_variance(k + x) for x in (-step, 0.0, step))
        _, slope, curvature = smile._by_k(k)
        np.testing.assert_allclose(slope, (up - down) / (2 * step), rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(
            curvature, (up - 2 * here + down) / step**2, rtol=1e-5, atol=1e-6
        )

    def test_scales_with_the_unit_of_price_and_time(self):
        one = Sabr(alpha=2.0, beta=0.5, rho=-0.3, nu=0.8).implied_vol(90.0, 100.0, 0.5)
        cents = Sabr(alpha=20.0, beta=0.5, rho=-0.3, nu=0.8).implied_vol(9000.0, 10000.0, 0.5)
        np.testing.assert_allclose(cents, one, rtol=1e-14)

    def test_impossible_rows_are_nan(self):
        sabr = Sabr(alpha=0.2, beta=1.0, rho=0.0, nu=0.5)
        strike = [100.0, 0.0, -1.0, np.nan, np.inf, 100.0, 100.0, 100.0, 100.0]
        forward = [100.0, 100.0, 100.0, 100.0, 100.0, np.inf, 0.0, 100.0, 100.0]
        tte = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, np.inf]
        is_nan = np.isnan(sabr.implied_vol(strike, forward, tte))
        np.testing.assert_array_equal(is_nan, [False, *[True] * 8])
        assert np.isnan(Sabr(alpha=0.2, beta=1.0, rho=-0.99, nu=9.0).implied_vol(90.0, 100.0, 9.0))

    @pytest.mark.parametrize(
        "wrong", [{"alpha": 0.0}, {"beta": 1.5}, {"rho": 1.0}, {"nu": -0.1}, {"alpha": np.nan}]
    )
    def test_refuses_what_is_no_model(self, wrong):
        with pytest.raises(ValueError, match="SABR needs"):
            Sabr(**({"alpha": 0.2, "beta": 1.0, "rho": 0.0, "nu": 0.5} | wrong))

    def test_normal_volatility_needs_beta_0(self):
        with pytest.raises(ValueError, match="beta = 0"):
            Sabr(alpha=0.2, beta=1.0, rho=0.0, nu=0.5).normal_vol(90.0, 100.0, 1.0)


class TestValidity:
    def test_density_equals_the_reference_where_it_is_negative_too(self):
        case = REFERENCE["density_check"][0]
        forward, tte, alpha, beta, rho, nu = case["params"]
        smile = Sabr(alpha=alpha, beta=beta, rho=rho, nu=nu).at(forward, tte)
        strike, density = np.array(case["density"]).T
        np.testing.assert_allclose(smile.density(strike), density, rtol=1e-10)
        low, high = smile.sound_range()
        assert 0.009 < low < 0.015  # the reference changes its sign there
        assert high == np.inf
        assert (
            smile.density(np.array([low * 1.001]))[0]
            > 0.0
            > smile.density(np.array([low * 0.999]))[0]
        )

    def test_a_short_equity_smile_is_sound_within_six_deviations(self):
        low, high = Sabr(alpha=0.2, beta=1.0, rho=-0.5, nu=0.6).at(100.0, 0.25).sound_range()
        assert low < 100.0 * np.exp(-0.6)
        assert high > 100.0 * np.exp(0.6)

    def test_absurd_models_answer_too(self):
        everywhere = Sabr(alpha=5.0, beta=0.2, rho=0.9, nu=0.1).at(0.1, 0.4)  # 3,000 %
        low, high = everywhere.sound_range()
        assert 0.0 <= low <= 0.1 <= high
        nowhere = Sabr(alpha=0.2, beta=1.0, rho=-0.99, nu=9.0).at(100.0, 9.0)  # no volatility
        np.testing.assert_array_equal(nowhere.sound_range(), [100.0, 100.0])


class TestFit:
    @pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
    def test_clean_smiles_are_recovered(self, beta):
        rng = np.random.default_rng(5)
        for _ in range(70):
            truth, tte = random_sabr(rng, beta), rng.uniform(0.05, 2.0)
            w = truth.at(100.0, tte).total_variance(K * np.sqrt(tte))
            fit = SabrSmile.fit(
                K * np.sqrt(tte), w, np.ones_like(K), beta=beta, forward=100.0, tte=tte
            )
            assert fit.status is FitStatus.CONVERGED
            found = fit.smile.sabr
            np.testing.assert_allclose(
                [found.alpha, found.rho, found.nu],
                [truth.alpha, truth.rho, truth.nu],
                rtol=1e-6,
                atol=1e-8,
            )

    def test_noisy_smiles_reach_the_optimum_of_scipy(self):
        from scipy.optimize import least_squares

        rng = np.random.default_rng(7)
        worse = 0
        for _ in range(60):
            truth, tte, n = random_sabr(rng, 0.5), rng.uniform(0.05, 2.0), int(rng.integers(10, 80))
            k = np.sort(rng.uniform(-2.5, 2.0, n)) * 0.3 * np.sqrt(tte)
            strike = 100.0 * np.exp(k)
            vol = truth.implied_vol(strike, 100.0, tte) + 0.004 * rng.normal(size=n)
            fit = Sabr.fit(strike, vol, 100.0, tte, np.ones(n), beta=0.5)

            def residual(p, strike=strike, vol=vol, tte=tte):
                rho = p[1] / np.hypot(1.0, p[1])
                sabr = Sabr(alpha=np.exp(p[0]), beta=0.5, rho=rho, nu=np.exp(p[2]))
                return sabr.implied_vol(strike, 100.0, tte) - vol

            start = (np.log(truth.alpha), truth.rho / np.sqrt(1 - truth.rho**2), np.log(truth.nu))
            best = 2.0 * least_squares(residual, start, xtol=1e-12, ftol=1e-12).cost
            ours = np.sum((fit.smile.sabr.implied_vol(strike, 100.0, tte) - vol) ** 2)
            worse += ours > 1.001 * best
        assert worse == 0

    def test_standard_errors_cover_the_truth(self):
        rng = np.random.default_rng(3)
        truth = Sabr(alpha=2.0, beta=0.5, rho=-0.4, nu=0.7)
        w = truth.at(100.0, 0.5).total_variance(K)
        pulls = []
        for _ in range(300):
            noisy = w + 1e-3 * w * rng.normal(size=K.size)
            fit = SabrSmile.fit(K, noisy, w**-2, beta=0.5, forward=100.0, tte=0.5)
            found = fit.smile.sabr
            error = np.array([found.alpha - 2.0, found.rho + 0.4, found.nu - 0.7])
            pulls.append(error / np.sqrt(np.diag(fit.covariance)))
        np.testing.assert_allclose(np.std(pulls, axis=0), 1.0, atol=0.15)

    def test_a_batch_equals_its_slices(self):
        rng = np.random.default_rng(2)
        forward, tte = np.array([90.0, 100.0, 110.0]), np.array([0.1, 0.4, 1.3])
        w = np.concatenate([random_sabr(rng, 0.5).at(100.0, t).total_variance(K) for t in tte])
        k, weight = np.tile(K, 3), np.ones(w.size)
        fits = fit_slices(k, w, weight, np.array([0, 45, 90, 135]), forward, tte)
        for i in range(3):
            rows = slice(45 * i, 45 * (i + 1))
            alone = SabrSmile.fit(K, w[rows], weight[rows], forward=forward[i], tte=tte[i])
            assert alone.smile == fits[i].smile

    def test_one_wild_quote_moves_the_robust_fit_by_no_more_than_its_share(self):
        truth = Sabr(alpha=2.0, beta=0.5, rho=-0.4, nu=0.7).at(100.0, 0.5)
        w = truth.total_variance(K)
        half_spread = 2e-4
        wild = w.copy()
        wild[12] *= 3.0
        weight = np.full(K.size, half_spread**-2)
        plain, robust = (
            SabrSmile.fit(K, wild, weight, forward=100.0, tte=0.5, loss_scale=scale).smile
            for scale in (np.inf, 1.0)
        )
        others = np.delete(np.arange(K.size), 12)
        assert np.abs(robust.total_variance(K) - w)[others].max() < 2.0 * half_spread
        assert np.abs(plain.total_variance(K) - w)[others].max() > 10.0 * half_spread

    @pytest.mark.parametrize("n", [0, 1, 2])
    def test_too_few_strikes(self, n):
        fit = SabrSmile.fit(K[:n], np.full(n, 0.04), np.ones(n))
        assert fit.status is FitStatus.TOO_FEW_POINTS
        assert fit.smile is None

    def test_equal_strikes_are_one_strike(self):
        fit = SabrSmile.fit(np.full(9, 0.1), np.full(9, 0.04), np.ones(9))
        assert fit.status is FitStatus.TOO_FEW_POINTS

    @pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -0.01])
    def test_impossible_variances_take_no_part(self, bad):
        truth = Sabr(alpha=2.0, beta=0.5, rho=-0.4, nu=0.7).at(100.0, 0.5)
        w = truth.total_variance(K)
        w[::5] = bad
        fit = SabrSmile.fit(K, w, np.ones_like(K), forward=100.0, tte=0.5)
        np.testing.assert_allclose(fit.smile.sabr.nu, 0.7, rtol=1e-8)
        assert fit.n_points == 36

    @pytest.mark.parametrize(
        "w", [np.full(45, 0.04), 0.04 + 0.05 * K, 0.08 - 0.1 * K**2, 1e-4 + 0.5 * np.abs(K)]
    )
    def test_strange_smiles_get_an_answer(self, w):
        fit = SabrSmile.fit(K, w, np.ones_like(K))
        assert fit.status is FitStatus.CONVERGED
        assert np.isfinite(fit.smile.total_variance(K)).all()

    def test_noise_without_any_shape_never_raises(self):
        rng = np.random.default_rng(0)
        for _ in range(100):
            fit = SabrSmile.fit(K, rng.uniform(1e-4, 0.3, K.size), np.ones_like(K))
            assert (fit.smile is not None) == (fit.status is FitStatus.CONVERGED)

    @pytest.mark.parametrize(
        ("change", "rule"),
        [
            ({"w": np.ones(3)}, "one shape"),
            ({"offsets": np.array([0, 99])}, "offsets"),
            ({"forward": np.array([-1.0])}, "positive forward"),
            ({"beta": 2.0}, "beta"),
            ({"loss_scale": 0.0}, "loss_scale"),
        ],
    )
    def test_a_wrong_call_raises(self, change, rule):
        call = {
            "k": K, "w": np.full(45, 0.04), "weight": np.ones(45), "offsets": np.array([0, 45]),
            "forward": np.ones(1), "tte": np.ones(1), "beta": 0.5,
        }  # fmt: skip
        with pytest.raises(ValueError, match=rule):
            fit_slices(**(call | change))


@pytest.mark.slow
class TestIndependently:
    """Random cases against other implementations, which only developers install."""

    @staticmethod
    def cases(n):
        rng = np.random.default_rng(20261120)
        for _ in range(n):
            beta = float(rng.choice([0.0, 0.3, 0.5, 0.9, 1.0]))
            forward = float(np.exp(rng.uniform(np.log(0.01), np.log(5000.0))))
            tte = float(np.exp(rng.uniform(np.log(1e-3), np.log(5.0))))
            vol = rng.uniform(0.05, 0.8)
            sabr = Sabr(
                alpha=float(vol * forward ** (1.0 - beta)),
                beta=beta,
                rho=float(rng.uniform(-0.995, 0.995)),
                nu=float(rng.uniform(0.01, 1.5) / np.sqrt(tte)),
            )
            reach = rng.normal() * 10.0 ** rng.uniform(-9.0, 0.3)
            yield sabr, forward, float(forward * np.exp(reach * vol * np.sqrt(tte))), tte

    def test_against_mpmath(self):
        mp = pytest.importorskip("mpmath")
        mp.mp.dps = 50
        for sabr, forward, strike, tte in self.cases(2_000):
            a, b, r, n, f, x, t = (
                mp.mpf(v) for v in (sabr.alpha, sabr.beta, sabr.rho, sabr.nu, forward, strike, tte)
            )
            log, u = mp.log(f / x), 1 - b
            mid = (f * x) ** (u / 2)
            z = n / a * mid * log
            chi = mp.log((mp.sqrt(1 - 2 * r * z + z * z) + z - r) / (1 - r))
            level = a / mid / (1 + (u * log) ** 2 / 24 + (u * log) ** 4 / 1920)
            time = (u * a / mid) ** 2 / 24 + r * b * n * a / (4 * mid) + (2 - 3 * r**2) * n**2 / 24
            exact = level * (z / chi if z else 1) * (1 + time * t)
            vol = sabr.implied_vol(strike, forward, tte)
            if exact > 0:
                # the expansion in time may cancel: 1 + time t is known to rounding only
                allowed = 1e-12 * max(1.0, float(abs(level / exact)))
                assert abs(float(vol / exact) - 1.0) < allowed, (sabr, forward, strike, tte)

    def test_against_quantlib(self):
        ql = pytest.importorskip("QuantLib")
        for sabr, forward, strike, tte in self.cases(2_000):
            vol = sabr.implied_vol(strike, forward, tte)
            other = ql.sabrVolatility(
                strike, forward, tte, sabr.alpha, sabr.beta, sabr.nu, sabr.rho
            )
            if vol > 0.0 and abs(strike / forward - 1.0) > 1e-3:  # QuantLib cancels at the money
                np.testing.assert_allclose(vol, other, rtol=1e-6)
