"""Rate conventions against a printed vector and an independent bootstrap."""

from math import exp, expm1, isclose, log

import numpy as np
import pytest
from scipy.optimize import brentq

from volsurf_resources.rates import discount_factor, par_to_zero, sofr_to_continuous

# Treasury par curve of 2026-10-02, percent, as published: tenor in years -> yield
CURVE = {
    1 / 12: 4.04,
    1 / 4: 4.19,
    1 / 2: 4.27,
    1.0: 4.46,
    2.0: 4.83,
    3.0: 4.96,
    5.0: 5.06,
    7.0: 5.17,
    10.0: 5.28,
    20.0: 5.67,
    30.0: 5.63,
}
PAR = {tenor: y / 100 for tenor, y in CURVE.items()}


def test_bond_equivalent_yield_of_427_percent_is_42251_percent_continuous():
    # 2 ln(1 + 0.0427 / 2), four printed digits
    assert round(100 * par_to_zero({0.5: 0.0427})[0.5], 4) == 4.2251


def test_a_flat_curve_stays_flat():
    zeros = par_to_zero(dict.fromkeys(PAR, 0.05))
    expected = 2 * log(1.025)
    assert all(isclose(zero, expected, abs_tol=1e-13) for zero in zeros.values())


def test_every_par_bond_is_worth_100():
    # Independent of the bootstrap: solve each half-year zero by root finding on the bond's price.
    tenors, yields = np.array(list(PAR)), np.array(list(PAR.values()))
    discounts: list[float] = []
    for n in range(1, 61):
        coupon = np.interp(n / 2, tenors, yields) / 2

        def price_minus_one(rate, n=n, coupon=coupon):
            return coupon * (sum(discounts) + exp(-rate * n / 2)) + exp(-rate * n / 2) - 1.0

        discounts.append(exp(-brentq(price_minus_one, -0.5, 0.5, xtol=1e-15) * n / 2))
    zeros = par_to_zero(PAR)
    for tenor in (1.0, 2.0, 5.0, 10.0, 20.0, 30.0):
        assert isclose(zeros[tenor], -log(discounts[int(2 * tenor) - 1]) / tenor, abs_tol=1e-12)


def test_tenors_between_half_years_lie_between_their_neighbours():
    zeros = par_to_zero({0.5: 0.04, 0.75: 0.045, 1.0: 0.05})
    assert zeros[0.75] == pytest.approx((zeros[0.5] + zeros[1.0]) / 2, abs=1e-14)


def test_zero_rates_of_a_rising_par_curve_lie_above_it():
    zeros = par_to_zero(PAR)
    continuous = {tenor: 2 * log(1 + y / 2) for tenor, y in PAR.items()}
    assert all(zeros[t] > continuous[t] for t in (1.0, 2.0, 5.0, 10.0, 20.0))


def test_negative_yields_are_rates_too():
    assert par_to_zero({0.25: -0.005})[0.25] == pytest.approx(2 * log(1 - 0.0025), abs=1e-15)


@pytest.mark.parametrize("curve", [{}, {0.0: 0.04}, {-1.0: 0.04, 1.0: 0.05}])
def test_a_curve_needs_positive_tenors(curve):
    with pytest.raises(ValueError, match="positive tenors"):
        par_to_zero(curve)


def test_sofr_compounds_to_the_same_money():
    # one calendar day at simple s ACT/360 earns as much as one day at the continuous rate ACT/365
    for rate in (0.0005, 0.0433, 0.12):
        assert expm1(sofr_to_continuous(rate) / 365) == pytest.approx(rate / 360, rel=1e-13)


def test_discount_factor():
    assert discount_factor(0.05, 0.0) == 1.0
    assert discount_factor(0.05, 2.0) == pytest.approx(exp(-0.1), abs=1e-15)
    assert discount_factor(-0.01, 1.0) > 1.0
