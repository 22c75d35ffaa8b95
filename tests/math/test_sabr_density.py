"""The arbitrage-free SABR density: exact CEV and Black limits, conservation, Hagan, simulation."""

import json
from pathlib import Path

import numpy as np
import pytest

from volsurf_math.smiles.sabr import Sabr
from volsurf_math.smiles.sabr_density import sabr_density

REFERENCE = json.loads((Path(__file__).parent.parent / "reference" / "sabr.json").read_text())
STRIKE = np.array([60.0, 80.0, 100.0, 120.0, 160.0])
MODELS = [  # forward 100, 25 % at the money; beta, rho, nu, tte
    (1.0, -0.5, 0.6, 0.1),
    (0.5, -0.3, 0.4, 1.0),
    (0.0, 0.3, 0.6, 1.0),
    (0.5, -0.25, 0.45, 10.0),
    (1.0, -0.7, 1.5, 2.0),
]


def solve(beta, rho, nu, tte, **grid):
    sabr = Sabr(alpha=0.25 * 100.0 ** (1.0 - beta), beta=beta, rho=rho, nu=nu)
    return sabr, sabr_density(sabr, 100.0, tte, **grid)


def cev_call(forward, strike, sigma, beta, tte):
    """Absorbed CEV by Schroder (1989), "Computing the CEV option pricing formula", with SciPy."""
    from scipy.stats import ncx2

    u = 1.0 - beta
    scale = u * u * sigma * sigma * tte
    at_strike, at_forward = strike ** (2.0 * u) / scale, forward ** (2.0 * u) / scale
    above = 1.0 - ncx2.cdf(at_strike, 1.0 / u + 2.0, at_forward)
    return forward * above - strike * ncx2.cdf(at_forward, 1.0 / u, at_strike)


@pytest.mark.parametrize("beta", [0.3, 0.5, 0.7])
def test_without_vol_of_vol_it_is_cev(beta):
    sigma = 0.3 * 100.0 ** (1.0 - beta)
    exact = cev_call(100.0, STRIKE[:4], sigma, beta, 1.0)
    sabr = Sabr(alpha=sigma, beta=beta, rho=0.0, nu=0.0)
    errors = [
        np.abs(
            sabr_density(sabr, 100.0, 1.0, n_cells=n, n_steps=n // 4).price(STRIKE[:4], True)
            - exact
        ).max()
        for n in (250, 500, 1000)
    ]
    assert errors[1] < 2e-4  # dollars on 100
    assert errors[0] > 3.5 * errors[1] > 12.0 * errors[2]  # second order


def test_with_beta_1_and_without_vol_of_vol_it_is_black():
    _, density = solve(1.0, 0.0, 0.0, 1.0)
    np.testing.assert_allclose(density.implied_vol(STRIKE), 0.25, atol=3e-5)


@pytest.mark.parametrize("model", MODELS)
def test_mass_and_forward_are_conserved_and_nothing_is_negative(model):
    _, density = solve(*model)
    ends = density.low_mass, density.high_mass
    assert abs(density.mass.sum() + sum(ends) - 1.0) < 1e-12
    mean = density.mass @ density.centre + density.edge[[0, -1]] @ np.array(ends)
    assert abs(mean / 100.0 - 1.0) < 1e-12
    assert (density.density > 0.0).all()
    strike = np.linspace(1.0, 300.0, 600)
    calls = density.price(strike, True)
    assert (np.diff(calls, 2) > -1e-9).all()
    np.testing.assert_allclose(calls - density.price(strike, False), 100.0 - strike, atol=1e-10)


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_agrees_with_hagan_at_short_expiries(beta):
    sabr, density = solve(beta, -0.4, 0.5, 0.02, n_cells=1000)
    strike = np.linspace(94.0, 106.0, 13)
    vol = sabr.implied_vol(strike, 100.0, 0.02)
    np.testing.assert_allclose(density.implied_vol(strike), vol, rtol=2e-4)


def test_prices_where_hagan_has_negative_density():
    forward, tte, alpha, beta, rho, nu = REFERENCE["density_check"][0]["params"]
    sabr = Sabr(alpha=alpha, beta=beta, rho=rho, nu=nu)
    low, _ = sabr.at(forward, tte).sound_range()
    density = sabr_density(sabr, forward, tte)
    strike = np.linspace(0.02 * low, low, 50)
    puts = density.price(strike, False)
    assert (np.diff(puts, 2) > 0.0).all()
    assert (puts > 0.0).all()
    np.testing.assert_allclose(puts[0], density.low_mass * strike[0], rtol=0.05)


def test_equals_simulation_within_the_expansion_s_error():
    """Euler in ln F with 100 steps, 40,000 paths and their mirror images; seed fixed."""
    rng = np.random.default_rng(20261120)
    beta, rho, nu, tte, n = 1.0, -0.5, 0.5, 1.0, 100
    log_f, sigma = np.zeros(80_000), np.full(80_000, 0.25)
    for _ in range(n):
        dz, dw = rng.normal(size=(2, 40_000)) * np.sqrt(tte / n)
        dz, dw = np.append(dz, -dz), np.append(dw, -dw)
        log_f += sigma * (rho * dz + np.sqrt(1 - rho**2) * dw) - 0.5 * sigma**2 * tte / n
        sigma *= np.exp(nu * dz - 0.5 * nu**2 * tte / n)
    paths = 100.0 * np.exp(log_f)
    _, density = solve(beta, rho, nu, tte)
    for strike in (70.0, 100.0, 130.0):
        payoff = np.maximum(paths - strike, 0.0)
        assert abs(payoff.mean() - density.price(strike, True)) < 0.08  # 0.2 vol points of vega


def test_a_wrong_call_raises():
    sabr = Sabr(alpha=0.2, beta=1.0, rho=0.0, nu=0.3)
    for forward, tte, grid in ((0.0, 1.0, {}), (1.0, -1.0, {}), (1.0, 1.0, {"n_cells": 3})):
        with pytest.raises(ValueError, match="SABR density needs"):
            sabr_density(sabr, forward, tte, **grid)


def test_impossible_strikes_are_nan():
    _, density = solve(0.5, -0.3, 0.4, 1.0)
    assert np.isnan(density.implied_vol([np.nan, -1.0, 0.0])).all()
