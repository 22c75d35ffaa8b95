"""Implied volatility against the exact inverse of double prices, round trips and bad rows."""

import json
import platform
from pathlib import Path

import numpy as np
import pytest
from numba import njit

from volsurf_math.black import undiscounted_price
from volsurf_math.compile_options import KERNEL
from volsurf_math.implied_vol import ImpliedVolStatus, _two_steps, implied_vol

REFERENCE = Path(__file__).parents[1] / "reference" / "black_iv.json"  # mpmath, 60 digits
ULP = 2.0**-52


def reference_columns(section: str) -> dict[str, np.ndarray]:
    rows = json.loads(REFERENCE.read_text())[section]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def invert(case: dict[str, np.ndarray]):
    return implied_vol(
        case["price"], case["F"], case["K"], case["T"], case["df"], case["right"] == "C"
    )


def test_every_reference_row_within_what_a_double_price_can_carry() -> None:
    case = reference_columns("cases")
    vol, status = invert(case)
    tolerance = 4.0 * case["attainable_abs"] + 4e-15 * case["iv_of_price"]
    assert np.all(status == ImpliedVolStatus.OK)
    assert np.all(np.abs(vol - case["iv_of_price"]) <= tolerance)


def test_every_invalid_reference_row_has_a_status() -> None:
    vol, status = invert(reference_columns("invalid"))
    assert np.all(np.isnan(vol))
    assert np.all(status != ImpliedVolStatus.OK)


def random_options(n: int, widest: float) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(20261120)
    tte = 10.0 ** rng.uniform(np.log10(1 / 365), np.log10(5.0), n)
    vol = 10.0 ** rng.uniform(-2.0, np.log10(4.0), n)
    forward = 100.0 * np.exp(rng.normal(size=n))
    strike = forward * np.exp(rng.uniform(-widest, widest, n) * vol * np.sqrt(tte))
    return forward, strike, tte, vol


def test_round_trip_on_a_hard_grid() -> None:
    forward, strike, tte, vol = random_options(100_000, 12.0)
    is_call = strike >= forward
    price = undiscounted_price(forward, strike, vol * vol * tte, is_call)
    maximum = np.where(is_call, forward, strike)
    usable = (price > 1e-290) & (price < maximum * (1 - 1e-12))
    found, status = implied_vol(price, forward, strike, tte, 1.0, is_call)
    s = vol * np.sqrt(tte)
    d1 = np.log(forward / strike) / s + 0.5 * s
    vega = forward * np.sqrt(tte) * np.exp(-0.5 * d1 * d1) / np.sqrt(2 * np.pi)
    tolerance = 4 * ULP * price / vega + 4e-15 * vol
    assert usable.mean() > 0.85
    assert np.all(status[usable] == ImpliedVolStatus.OK)
    assert np.all(np.abs(found - vol)[usable] <= tolerance[usable])


def test_neighbouring_rows_do_not_matter() -> None:
    # Vector lanes and blocks must give what a single row gives.
    forward, strike, tte, vol = random_options(3000, 8.0)
    price = undiscounted_price(forward, strike, vol * vol * tte, True)
    together, status = implied_vol(price, forward, strike, tte, 1.0, True)
    for i in range(0, 3000, 97):
        alone, alone_status = implied_vol(price[i], forward[i], strike[i], tte[i], 1.0, True)
        assert alone_status == status[i]
        assert np.allclose(alone, together[i], rtol=1e-15, atol=0.0, equal_nan=True)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ((5.0, 100.0, 100.0, 0.5, 1.0), ImpliedVolStatus.OK),
        ((np.nan, 100.0, 100.0, 0.5, 1.0), ImpliedVolStatus.NOT_FINITE),
        ((np.inf, 100.0, 100.0, 0.5, 1.0), ImpliedVolStatus.NOT_FINITE),
        ((5.0, np.inf, 100.0, 0.5, 1.0), ImpliedVolStatus.NOT_FINITE),
        ((5.0, 100.0, 100.0, np.inf, 1.0), ImpliedVolStatus.NOT_FINITE),
        ((0.0, 100.0, 110.0, 0.5, 1.0), ImpliedVolStatus.NO_TIME_VALUE),
        ((-1.0, 100.0, 110.0, 0.5, 1.0), ImpliedVolStatus.NO_TIME_VALUE),
        ((10.0, 110.0, 100.0, 0.5, 1.0), ImpliedVolStatus.NO_TIME_VALUE),
        ((100.0, 100.0, 110.0, 0.5, 1.0), ImpliedVolStatus.ABOVE_MAXIMUM),
        ((5.0, 100.0, 100.0, 0.0, 1.0), ImpliedVolStatus.EXPIRED),
        ((5.0, 100.0, 100.0, -0.1, 1.0), ImpliedVolStatus.EXPIRED),
        ((5.0, 0.0, 100.0, 0.5, 1.0), ImpliedVolStatus.BAD_INPUT),
        ((5.0, 100.0, 0.0, 0.5, 1.0), ImpliedVolStatus.BAD_INPUT),
        ((5.0, -100.0, -100.0, 0.5, 1.0), ImpliedVolStatus.BAD_INPUT),
        ((5.0, 100.0, 100.0, 0.5, 0.0), ImpliedVolStatus.BAD_INPUT),
    ],
)
def test_status_of_a_row(row: tuple[float, ...], expected: ImpliedVolStatus) -> None:
    vol, status = implied_vol(*row, True)
    assert ImpliedVolStatus(int(status)) is expected
    assert np.isnan(vol) == (expected is not ImpliedVolStatus.OK)


def test_shapes_broadcast_and_empty_input_is_empty() -> None:
    vol, status = implied_vol(5.0, 100.0, np.full((2, 3), 100.0), 0.5, 1.0, True)
    assert vol.shape == status.shape == (2, 3)
    assert implied_vol(np.empty(0), 100.0, 100.0, 0.5, 1.0, True)[0].shape == (0,)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="looks for x86 divisions")
def test_branch_free_loop_uses_the_vector_lanes() -> None:
    # Pins speed, not truth: a call or a branch in the loop would make it five times slower.
    fresh = njit(**(KERNEL | {"cache": False}))(_two_steps.py_func)
    column = np.ones(8)
    fresh(column, column, column.copy())
    (assembly,) = fresh.inspect_asm().values()
    assert assembly.count("divpd") > 10
