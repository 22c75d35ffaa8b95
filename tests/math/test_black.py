"""Black's price against 40-digit values, identities and limits."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import erfcx

from volsurf_math.black import undiscounted_price
from volsurf_math.normal import fast_exp, fast_log, fast_log1p, mills_ratio, mills_ratio_everywhere

REFERENCE = Path(__file__).parents[1] / "reference" / "black_iv.json"  # mpmath, 60 digits


def reference_columns(section: str) -> dict[str, np.ndarray]:
    rows = json.loads(REFERENCE.read_text())[section]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def test_price_agrees_with_forty_digits() -> None:
    case = reference_columns("cases")
    price = case["df"] * undiscounted_price(
        case["F"], case["K"], case["vol"] ** 2 * case["T"], case["right"] == "C"
    )
    # One rounding of the total variance moves the exponent h^2 / 2 = -ln(price) by as many units.
    digits_lost = 1.0 - np.log(np.minimum(case["price"] / case["F"], 1.0))
    assert np.all(np.abs(price / case["price"] - 1.0) <= 8 * 2.0**-52 * digits_lost)


def test_call_minus_put_is_forward_minus_strike() -> None:
    strike = np.geomspace(20.0, 500.0, 101)
    call = undiscounted_price(100.0, strike, 0.09, True)
    put = undiscounted_price(100.0, strike, 0.09, False)
    assert np.allclose(call - put, 100.0 - strike, rtol=0.0, atol=1e-12)


def test_price_is_continuous_where_its_formulas_meet() -> None:
    # Near its maximum and past the Taylor domain the kernel changes formula: t - q = 1, t = 1/4.
    y = np.array([0.0, 0.3, 1.0, 2.0])
    for s in (np.sqrt(2.0 * y + 1.0) + 1.0, np.full(4, 0.5)):
        below = undiscounted_price(1.0, np.exp(y), (s * (1 - 1e-13)) ** 2, True)
        above = undiscounted_price(1.0, np.exp(y), (s * (1 + 1e-13)) ** 2, True)
        assert np.allclose(below, above, rtol=3e-12)


def test_limits_of_total_variance() -> None:
    assert undiscounted_price(100.0, 90.0, 0.0, True) == 10.0
    assert undiscounted_price(100.0, 90.0, 0.0, False) == 0.0
    assert undiscounted_price(100.0, 90.0, 1e4, True) == pytest.approx(100.0, rel=1e-15)
    assert undiscounted_price(100.0, 90.0, 1e4, False) == pytest.approx(90.0, rel=1e-15)


@pytest.mark.parametrize(
    ("forward", "strike", "total_variance"),
    [
        (100.0, 90.0, -1e-9),
        (0.0, 90.0, 0.1),
        (100.0, -1.0, 0.1),
        (np.inf, 1.0, 0.1),
        (1, 1, np.nan),
    ],
)
def test_bad_row_is_nan(forward: float, strike: float, total_variance: float) -> None:
    assert np.isnan(undiscounted_price(forward, strike, total_variance, True))


def test_mills_ratio_agrees_with_scipy() -> None:
    q = np.linspace(-5.0, 200.0, 4001)
    ours = np.array([mills_ratio_everywhere(value) for value in q])
    assert np.allclose(ours, np.sqrt(np.pi / 2) * erfcx(q / np.sqrt(2.0)), rtol=2e-15)
    assert mills_ratio(0.0) == pytest.approx(np.sqrt(np.pi / 2), rel=1e-16)


def test_fast_functions_agree_with_numpy() -> None:
    x = np.geomspace(1e-300, 1e300, 5001)
    assert np.allclose([fast_log(value) for value in x], np.log(x), rtol=4e-16, atol=3e-16)
    assert np.allclose([fast_log1p(value) for value in x], np.log1p(x), rtol=5e-16, atol=0.0)
    z = np.linspace(-700.0, 700.0, 5001)
    assert np.allclose([fast_exp(value) for value in z], np.exp(z), rtol=5e-16)
