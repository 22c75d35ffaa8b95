"""Gamma-vanna-volga, polynomial and convex smiles: what defines them, recovery, limits."""

import subprocess
import sys

import numpy as np
import pytest

from tests.math.random_smiles import random_market
from volsurf_math.black import undiscounted_price
from volsurf_math.greeks import black_greeks
from volsurf_math.smiles.convex import ConvexSmile
from volsurf_math.smiles.gamma_vanna_volga import GammaVannaVolga
from volsurf_math.smiles.polynomial import PolynomialSmile
from volsurf_math.smiles.svi import RawSvi

K = np.linspace(-0.5, 0.4, 45)
ONES = np.ones_like(K)
VOGT = RawSvi(a=-0.0410, b=0.1331, rho=0.3060, m=0.3586, sigma=0.4153)  # has arbitrage


class TestGammaVannaVolga:
    SMILE = GammaVannaVolga(sigma=0.2, rho=-0.6, nu=0.9)

    def test_decay_pays_for_gamma_vanna_and_volga(self):
        """The defining balance, with the greeks of this project's Black formula at T = 1."""
        w = self.SMILE.total_variance(K)
        vol, forward, strike = np.sqrt(w), np.ones_like(K), np.exp(K)
        greeks = black_greeks(forward, strike, ONES, vol, ONES, strike > 1.0)
        decay = 0.5 * w * greeks.gamma  # of F = 1, in the option's own volatility
        gamma = 0.5 * 0.2**2 * greeks.gamma
        vanna = -0.6 * 0.9 * vol * 0.2 * greeks.vanna
        volga = 0.5 * (0.9 * vol) ** 2 * greeks.volga
        np.testing.assert_allclose(decay, gamma + vanna + volga, rtol=1e-12)

    def test_without_vol_of_vol_it_is_flat(self):
        flat = GammaVannaVolga(sigma=0.2, rho=0.3, nu=0.0)
        np.testing.assert_allclose(flat.total_variance(K), 0.04, rtol=1e-15)

    def test_wings_rise_at_lee_s_bound(self):
        far = np.array([-1e6, 1e6])
        np.testing.assert_allclose(self.SMILE.total_variance(far) / np.abs(far), 2.0, rtol=1e-4)

    def test_clean_smiles_are_recovered(self):
        rng = np.random.default_rng(1)
        for _ in range(50):
            truth = GammaVannaVolga(
                sigma=rng.uniform(0.05, 0.5), rho=rng.uniform(-0.9, 0.9), nu=rng.uniform(0.2, 1.5)
            )
            fit = GammaVannaVolga.fit(K, truth.total_variance(K), ONES)
            found = (fit.smile.sigma, fit.smile.rho, fit.smile.nu)
            np.testing.assert_allclose(found, (truth.sigma, truth.rho, truth.nu), atol=1e-7)

    @pytest.mark.parametrize("wrong", [{"sigma": 0.0}, {"rho": 1.1}, {"nu": -1.0}])
    def test_refuses_what_is_no_model(self, wrong):
        with pytest.raises(ValueError, match="gamma-vanna-volga needs"):
            GammaVannaVolga(**({"sigma": 0.2, "rho": 0.0, "nu": 0.5} | wrong))


class TestPolynomial:
    @pytest.mark.parametrize("degree", [1, 2, 3, 4])
    def test_a_polynomial_is_recovered(self, degree):
        truth = np.array([0.2, -0.1, 0.05, 0.02, 0.01])[: degree + 1]
        w = np.polynomial.polynomial.polyval(K, truth) ** 2
        fit = PolynomialSmile.fit(K, w, ONES, degree=degree)
        np.testing.assert_allclose(fit.smile.coefficients, truth, atol=1e-12)

    def test_is_level_beyond_the_quotes(self):
        fit = PolynomialSmile.fit(K, 0.04 - 0.05 * K, ONES)
        ends = fit.smile.total_variance(np.array([K[0], K[-1]]))
        np.testing.assert_array_equal(fit.smile.total_variance(np.array([-9.0, 9.0])), ends)


class TestConvex:
    def test_is_a_martingale_whose_density_is_not_negative(self):
        smile = ConvexSmile.fit(K, VOGT.total_variance(K), ONES).smile
        k = np.linspace(-8.0, 8.0, 40_001)
        density = smile.density(k)
        assert (density >= 0.0).all()
        np.testing.assert_allclose(np.trapezoid(density, k), 1.0, rtol=1e-10)
        np.testing.assert_allclose(np.trapezoid(np.exp(k) * density, k), 1.0, rtol=1e-7)

    def test_variance_reprices_the_mixture(self):
        smile = ConvexSmile.fit(K, 0.04 - 0.05 * K + 0.06 * K**2, ONES).smile
        price = undiscounted_price(1.0, np.exp(K), smile.total_variance(K), K >= 0.0)
        np.testing.assert_allclose(price, smile.price(K), rtol=1e-12)
        calls = np.where(K >= 0.0, smile.price(K), smile.price(K) + 1.0 - np.exp(K))
        slopes = np.diff(calls) / np.diff(np.exp(K))
        assert (np.diff(slopes) > 0.0).all()
        assert ((slopes > -1.0) & (slopes < 0.0)).all()

    def test_comes_near_to_arbitrage_free_smiles_and_not_to_others(self):
        market = random_market(12, seed=9, noise=0.0)
        for i, truth in enumerate(market.truth):
            rows = slice(*market.offsets[i : i + 2])
            k, weight = market.k[rows], market.weight[rows]
            fit = ConvexSmile.fit(k, market.w[rows], weight)
            error = fit.smile.total_variance(k) - truth.total_variance(k)
            assert np.sqrt(np.mean(weight * error**2)) < 0.5  # half-spreads
        wide = np.linspace(-1.5, 1.5, 61)
        with_arbitrage = ConvexSmile.fit(wide, VOGT.total_variance(wide), np.ones(61))
        assert with_arbitrage.rmse > 5e-4

    def test_between_bid_and_ask_it_prefers_the_smoother_curve(self):
        rng = np.random.default_rng(2)
        w = 0.04 - 0.05 * K + 0.06 * K**2
        half = 2e-3 * ONES
        noisy = w + half * rng.uniform(-0.9, 0.9, K.size)
        near, smooth = (
            ConvexSmile.fit(K, noisy, half**-2, inside_cost=c, roughness=1e-6).smile
            for c in (1.0, 0.0)
        )
        miss = np.abs(smooth.total_variance(K) - noisy) / half
        assert miss.max() < 1.1
        narrow = len(near.mass) - 2
        wiggle = [np.sum(np.diff(np.array(s.mass[:narrow]), 2) ** 2) for s in (near, smooth)]
        assert wiggle[1] < wiggle[0]

    def test_its_wings_stay_finite_on_a_short_expiry(self):
        k = 0.02 * np.linspace(-4.0, 3.0, 41)
        fit = ConvexSmile.fit(k, 4e-4 * (1.0 - 8.0 * k), np.ones(41))
        far = fit.smile.total_variance(np.array([-3.0, 3.0]))
        assert np.isfinite(far).all()

    def test_without_cvxpy_it_says_what_is_missing(self):
        program = (
            "import sys; sys.modules['cvxpy'] = None\n"
            "import numpy as np\n"
            "from volsurf_math.smiles import SMILES\n"
            "k = np.linspace(-0.2, 0.2, 9)\n"
            "SMILES['convex'].fit(k, 0.04 + k**2, np.ones(9))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert "the convex smile needs cvxpy" in done.stderr.splitlines()[-1]
