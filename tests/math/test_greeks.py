"""Greeks against mpmath values, finite differences of the price, and identities."""

import json
from pathlib import Path

import numpy as np
import pytest

from volsurf_math.black import undiscounted_price
from volsurf_math.greeks import BlackGreeks, black_greeks, on_spot

REFERENCE = Path(__file__).parents[1] / "reference" / "black_iv.json"  # mpmath, 60 digits


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("price", "price"),
        ("delta", "delta_fwd"),
        ("gamma", "gamma_fwd"),
        ("vega", "vega"),
        ("theta", "theta"),
        ("vanna", "vanna"),
        ("volga", "volga"),
    ],
)
def test_greeks_agree_with_sixty_digit_arithmetic(ours: str, theirs: str) -> None:
    rows = json.loads(REFERENCE.read_text())["greeks"]
    column = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    greeks = black_greeks(
        column["F"], column["K"], column["T"], column["vol"], column["df"], column["right"] == "C"
    )
    assert np.allclose(getattr(greeks, ours), column[theirs], rtol=3e-13, atol=0.0)


def premium(spot, strike, tte, vol, rate, carry_yield, is_call):
    forward = spot * np.exp((rate - carry_yield) * tte)
    return np.exp(-rate * tte) * undiscounted_price(forward, strike, vol * vol * tte, is_call)


def central(f, x, h):
    return (f(x + h) - f(x - h)) / (2.0 * h)


@pytest.mark.parametrize("is_call", [True, False])
def test_spot_rate_and_time_sensitivities_by_finite_differences(is_call: bool) -> None:
    spot, tte, vol, rate, carry_yield = 100.0, 0.4, 0.25, 0.04, 0.012
    strike = np.array([70.0, 95.0, 100.0, 110.0, 140.0])
    forward, df = spot * np.exp((rate - carry_yield) * tte), np.exp(-rate * tte)
    g = black_greeks(forward, strike, tte, vol, df, is_call)

    def of_spot(s):
        return premium(s, strike, tte, vol, rate, carry_yield, is_call)

    def of_rate(r):
        return premium(spot, strike, tte, vol, r, carry_yield, is_call)

    def of_tte(t):
        return premium(spot, strike, t, vol, rate, carry_yield, is_call)

    own = on_spot(g, spot=spot, forward=forward, rate=rate, carry=rate - carry_yield)
    assert np.allclose(central(of_spot, spot, 1e-3), own.delta, atol=1e-8)
    assert np.allclose(
        (of_spot(spot + 0.05) - 2 * of_spot(spot) + of_spot(spot - 0.05)) / 0.05**2,
        own.gamma,
        atol=1e-7,
    )
    assert np.allclose(central(of_rate, rate, 1e-5), own.rho, atol=1e-6)
    assert np.allclose(-central(of_tte, tte, 1e-5), own.theta, atol=1e-6)


def test_price_is_blacks_and_put_call_identities_hold() -> None:
    strike = np.geomspace(50.0, 200.0, 51)
    call, put = (black_greeks(100.0, strike, 0.3, 0.3, 0.97, side) for side in (True, False))
    exact = 0.97 * undiscounted_price(100.0, strike, 0.027, True)
    assert np.allclose(call.price, exact, rtol=0.0, atol=1e-13)
    assert np.allclose(call.delta - put.delta, 0.97, rtol=0.0, atol=1e-15)
    for field in ("gamma", "vega", "theta", "vanna", "volga"):
        assert np.array_equal(getattr(call, field), getattr(put, field))


@pytest.mark.parametrize("position", range(5))
@pytest.mark.parametrize("value", [0.0, -1.0, np.nan])
def test_bad_row_is_nan_and_leaves_its_neighbour_alone(position: int, value: float) -> None:
    inputs = [np.array([100.0, 100.0]), np.array([95.0, 95.0]), 0.5, 0.2, 0.98]
    inputs[position] = np.broadcast_to(inputs[position], 2) * np.array([1.0, 1.0])
    inputs[position][0] = value
    greeks = black_greeks(*inputs, True)
    for field, column in zip(BlackGreeks._fields, greeks, strict=True):
        assert np.isnan(column[0]), field
        assert np.isfinite(column[1]), field


def test_shapes_broadcast() -> None:
    strike = np.array([90.0, 100.0, 110.0])
    tte = np.array([[0.1], [0.5]])
    assert black_greeks(100.0, strike, tte, 0.2, 1.0, True).volga.shape == (2, 3)
    assert black_greeks(100.0, 100.0, 0.1, 0.2, 1.0, True).price.shape == ()
