"""Local volatility: flat surfaces, Dupire's formula, prices under it, and points without one."""

import numpy as np
import pytest
from scipy.linalg import solve_banded

from tests.math.surfaces_of import surface_of
from tests.math.test_essvi import random_market
from volsurf_math.arbitrage import durrleman_g
from volsurf_math.black import undiscounted_price
from volsurf_math.implied_vol import implied_vol
from volsurf_math.surfaces.derivatives import variance_derivatives
from volsurf_math.surfaces.essvi import Essvi
from volsurf_math.surfaces.local_vol import LocalVolStatus, local_volatility

FLAT = np.array([[0.04 * t, 0.0, 0.0, 0.0, 0.1] for t in (0.25, 0.5, 1.0)])
TTE = np.array([0.25, 0.5, 1.0])


def test_a_flat_surface_has_its_own_volatility_everywhere():
    tte = np.array([0.25, 0.3, 0.5, 0.7, 1.0])[:, None]
    found = local_volatility(surface_of(FLAT, TTE), tte, np.linspace(-1.0, 1.0, 9))
    assert (found.status == LocalVolStatus.DEFINED).all()
    np.testing.assert_allclose(found.local_vol, 0.2, rtol=1e-14)


def test_without_skew_it_is_the_forward_volatility():
    flat = FLAT.copy()
    flat[2, 0] = 0.01 * 2 + 0.09 * 0.5  # 30 % from a half to one year
    found = local_volatility(surface_of(flat, TTE), np.array([0.75, 0.3]), np.array([0.3, 0.3]))
    np.testing.assert_allclose(found.local_vol, [0.3, 0.2], rtol=1e-14)


def test_equals_dupire_from_prices():
    """dC/dT = K^2 sigma^2 C_KK / 2 for undiscounted calls at a constant forward."""
    market = random_market(np.random.default_rng(3))
    surface = surface_of(market.truth.raw_svi(), market.tte)
    t, k = 0.5 * (market.tte[5] + market.tte[6]), np.linspace(-0.3, 0.2, 11)

    def call(strike, years):
        vol = surface.implied_vol(np.full(strike.shape, years), strike=strike).implied_vol
        return undiscounted_price(100.0, strike, vol**2 * years, True)

    strike, step, dt = 100.0 * np.exp(k), 0.01, 1e-5
    by_time = (call(strike, t + dt) - call(strike, t - dt)) / (2.0 * dt)
    bend = call(strike + step, t) - 2.0 * call(strike, t) + call(strike - step, t)
    dupire = np.sqrt(2.0 * by_time / (strike**2 * bend / step**2))
    found = local_volatility(surface, np.full(11, t), k)
    np.testing.assert_allclose(found.local_vol, dupire, rtol=2e-4)


def values_at_first_expiry(surface, last, strike, x, n_steps=150):
    """Calls of expiry `last` at the first expiry, under the local volatility: dF = sigma F dW.

    The backward equation in x = ln(F / 100), implicit with four half-steps at the payoff's kink and
    Crank-Nicolson after them; shape (x.size, strike.size).
    """
    value = np.maximum(100.0 * np.exp(x)[:, None] - strike, 0.0)
    edges = surface.tte[surface.tte <= last]
    for near, far in zip(edges[-2::-1], edges[:0:-1], strict=True):
        n = max(round(n_steps * (far - near) / last), 8)
        h, dt = x[1] - x[0], (far - near) / n
        is_first = far == last
        for i in range(n):
            t = far - (i + 0.5) * dt
            vol = local_volatility(surface, np.full(x.size, t), x).local_vol
            rate = 0.5 * vol**2
            up, down = rate / h**2 - 0.5 * rate / h, rate / h**2 + 0.5 * rate / h
            middle = -up - down
            for edge in (0, -1):
                up[edge] = down[edge] = middle[edge] = 0.0
            parts = [(0.5 * dt, 1.0)] * 2 if is_first and i < 2 else [(dt, 0.5)]
            for step, theta in parts:
                explicit = (1.0 - theta) * step
                moved = middle[:, None] * value
                moved[:-1] += up[:-1, None] * value[1:]
                moved[1:] += down[1:, None] * value[:-1]
                bands = np.zeros((3, x.size))
                bands[0, 1:] = -theta * step * up[:-1]
                bands[1] = 1.0 - theta * step * middle
                bands[2, :-1] = -theta * step * down[1:]
                value = solve_banded((1, 1), bands, value + explicit * moved)
    return value


def test_options_priced_under_it_have_the_volatilities_of_the_surface():
    """Independent of Dupire's equation: backwards in time, one option after the other."""
    tte = np.array([0.1, 0.4, 1.0])
    theta = 0.04 * tte
    truth = Essvi(theta=theta, rho=np.linspace(-0.6, -0.4, 3), psi=0.7 * np.sqrt(theta))
    surface = surface_of(truth.raw_svi(), tte)
    x = np.linspace(-1.9, 1.9, 1201)
    w, slope, curvature = variance_derivatives(surface.parameters[:1], x)
    d2 = -x / np.sqrt(w) - 0.5 * np.sqrt(w)
    density = np.exp(-0.5 * d2 * d2) / np.sqrt(2.0 * np.pi * w)
    density *= durrleman_g(x, w, slope, curvature)
    for last in tte[1:]:
        strike = 100.0 * np.exp(np.linspace(-1.5, 1.0, 6) * 0.2 * np.sqrt(last))
        value = values_at_first_expiry(surface, last, strike, x)
        price = (density[:, None] * value).sum(axis=0) * (x[1] - x[0])
        found, _ = implied_vol(price, 100.0, strike, last, 1.0, True)
        expected = surface.implied_vol(np.full(6, last), strike=strike).implied_vol
        np.testing.assert_allclose(found, expected, atol=3e-4)  # 0.03 vol points


def test_points_without_local_volatility_say_why():
    crossing = FLAT.copy()
    crossing[1, 0] = 0.009  # below the first expiry
    surface = surface_of(crossing, TTE, reach=0.5)
    tte, k = np.array([0.1, 1.1, 0.3, 0.3, 0.75]), np.array([0.0, 0.0, 0.6, 0.0, 0.0])
    found = local_volatility(surface, tte, k)
    np.testing.assert_array_equal(found.status, [1, 1, 2, 3, 0])
    np.testing.assert_array_equal(np.isnan(found.local_vol), [True] * 4 + [False])
    vogt = np.array([[-0.041, 0.1331, 0.306, 0.3586, 0.4153]])
    doubled = vogt * np.array([2.0, 2.0, 1.0, 1.0, 1.0])
    found = local_volatility(
        surface_of(np.concatenate((vogt, doubled)), np.array([1.0, 2.0])), 1.0, np.array([0.0, 0.9])
    )
    np.testing.assert_array_equal(found.status, [0, LocalVolStatus.BUTTERFLY_ARBITRAGE])
    one = local_volatility(surface_of(FLAT[:1], TTE[:1]), 0.25, np.zeros(2))
    assert (one.status == LocalVolStatus.ONE_EXPIRY).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_points_are_data(bad):
    found = local_volatility(surface_of(FLAT, TTE), np.array([0.3, bad]), np.array([bad, 0.0]))
    assert np.isnan(found.local_vol).all()
    assert (found.status != LocalVolStatus.DEFINED).all()
