"""American exercise against QuantLib's Andersen-Lake-Offengenden values, limits and round trips."""

import json
from pathlib import Path

import numpy as np
import pytest

from volsurf_math.american import american_price, early_exercise_premium, european_equivalent
from volsurf_math.black import undiscounted_price
from volsurf_math.implied_vol import ImpliedVolStatus

REFERENCE = Path(__file__).parents[1] / "reference" / "american.json"  # QuantLib 1.44
SPOT = 680.0


def reference_columns(section: str) -> dict[str, np.ndarray]:
    rows = json.loads(REFERENCE.read_text())[section]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def reference_options():
    case = reference_columns("reference_prices")
    forward = case["S"] * np.exp((case["r"] - case["q"]) * case["T"])
    contract = (case["S"], case["K"], case["T"], case["r"], forward)
    return case, contract, case["right"] == "C"


def has_time_value(case, forward, is_call):
    sign = np.where(is_call, 1.0, -1.0)
    at_once = np.maximum(sign * (case["S"] - case["K"]), 0.0)
    at_expiry = np.maximum(sign * (forward - case["K"]), 0.0) * np.exp(-case["r"] * case["T"])
    return case["american"] - np.maximum(at_once, at_expiry) > 0.02


def test_premium_and_price_agree_with_reference() -> None:
    case, contract, is_call = reference_options()
    premium = early_exercise_premium(*contract, case["vol"], is_call)
    price = american_price(*contract, case["vol"], is_call)
    assert np.allclose(premium, case["early_exercise_premium"], rtol=0.0, atol=0.01)
    assert np.allclose(price, case["american"], rtol=0.0, atol=0.01)


@pytest.mark.parametrize(("steps", "vol_points"), [(51, 0.01), (75, 0.005), (201, 0.003)])
def test_vol_behind_reference_prices(steps: int, vol_points: float) -> None:
    case, contract, is_call = reference_options()
    _, _, vol, status = european_equivalent(case["american"], *contract, is_call, steps=steps)
    usable = has_time_value(case, contract[4], is_call)
    assert usable.sum() >= 40
    assert np.all(status[usable] == ImpliedVolStatus.OK)
    assert np.all(np.abs(vol - case["vol"])[usable] < vol_points / 100.0)


@pytest.mark.parametrize("side", ["call", "put"])
def test_treating_spy_as_european_errs_and_the_equivalent_does_not(side: str) -> None:
    # The study's table: up to 1.57 vol points of error on out-of-the-money puts.
    case = {
        name: column.astype(float)
        for name, column in reference_columns("iv_error_table").items()
        if name in ("K_over_F", "F", "days", "r", "true_vol", f"{side}_am", f"{side}_eu")
    }
    is_call = side == "call"
    out_of_the_money = (case["K_over_F"] >= 1.0) == is_call
    quoted = out_of_the_money & (case[f"{side}_am"] > 0.005)
    row = {name: column[quoted] for name, column in case.items()}
    european, premium, vol, status = european_equivalent(
        row[f"{side}_am"],
        SPOT,
        row["K_over_F"] * row["F"],
        row["days"] / 365.0,
        row["r"],
        row["F"],
        is_call,
    )
    assert quoted.sum() > 20
    assert np.all(status == ImpliedVolStatus.OK)
    assert np.allclose(european + premium, row[f"{side}_am"], rtol=1e-15)
    assert np.allclose(european, row[f"{side}_eu"], rtol=0.0, atol=0.025)
    assert np.all(np.abs(vol - row["true_vol"]) < 0.01 / 100.0)


def test_cash_dividends_agree_with_finite_differences_of_the_spot_model() -> None:
    # The reference lets the stock jump (spot dividends), ours escrows them: at the vol that both
    # models' European prices share, premiums differ by the models' own small distance.
    for row in json.loads(REFERENCE.read_text())["discrete_dividends"]:
        days, amounts = np.array(row["dividends"]).T
        for side in ("call", "put"):
            strike, price = row["K_over_F"] * row["F"], row[f"am_{side}"]
            at_once = strike - SPOT if side == "put" else SPOT - strike
            if price - at_once < 0.01:
                continue
            _, premium, vol, status = european_equivalent(
                price,
                SPOT,
                strike,
                row["days"] / 365.0,
                row["r"],
                row["F"],
                side == "call",
                days / 365.0,
                amounts,
            )
            assert status == ImpliedVolStatus.OK
            assert premium == pytest.approx(row[f"eep_{side}"], rel=0.01, abs=0.003)
            assert vol == pytest.approx(row[f"eu_black_iv_{side}"], abs=0.01 / 100.0)


def test_call_before_its_last_dividend_agrees_with_a_two_date_integral() -> None:
    # At zero yield a call is exercised only just before the dividend: one integral over X there.
    spot, rate, tte, time, amount, vol = 100.0, 0.03, 0.5, 0.4, 3.0, 0.25
    strike = np.array([80.0, 90.0, 100.0, 110.0])
    x0 = spot - amount * np.exp(-rate * time)
    forward = x0 * np.exp(rate * tte)
    nodes = np.linspace(-9.0, 9.0, 4001)
    weights = np.exp(-0.5 * nodes**2)
    s = vol * np.sqrt(time)
    x = x0 * np.exp(rate * time + s * nodes - 0.5 * s * s)[:, None]
    left = tte - time
    kept = np.exp(-rate * left) * undiscounted_price(
        x * np.exp(rate * left), strike, vol * vol * left, True
    )
    value = np.maximum(kept, x + amount - strike)
    exact = np.exp(-rate * time) * (weights / weights.sum()) @ value
    price = american_price(spot, strike, tte, rate, forward, vol, True, [time], [amount])
    assert np.allclose(price, exact, rtol=0.0, atol=0.001)


def test_no_premium_where_waiting_never_costs() -> None:
    strike = np.linspace(500.0, 900.0, 41)
    growth = SPOT * np.exp(0.03)
    assert np.all(early_exercise_premium(SPOT, strike, 1.0, 0.03, growth, 0.2, True) == 0.0)
    assert np.all(early_exercise_premium(SPOT, strike, 1.0, 0.0, SPOT * 0.98, 0.2, False) == 0.0)
    # A dividend below the interest on the strike until expiry is no reason to exercise.
    forward = (SPOT - 1.0 * np.exp(-0.04 * 0.3)) * np.exp(0.04)
    premium = early_exercise_premium(SPOT, strike, 1.0, 0.04, forward, 0.2, True, [0.3], [1.0])
    assert np.all(premium == 0.0)


@pytest.mark.parametrize("is_call", [True, False])
def test_american_is_worth_at_least_exercise_at_once_and_its_european(is_call: bool) -> None:
    rng = np.random.default_rng(20261120)
    n = 400
    tte, vol = rng.uniform(0.003, 2.0, n), 10.0 ** rng.uniform(-2.5, 0.3, n)
    strike, rate = SPOT * np.exp(rng.normal(0.0, 0.3, n)), rng.uniform(-0.02, 0.08, n)
    forward = SPOT * np.exp((rate - rng.uniform(-0.02, 0.06, n)) * tte)
    contract = (SPOT, strike, tte, rate, forward, vol, is_call)
    dividends = ([0.1, 0.6, 1.1], [5.0, 5.0, 5.0])
    premium = early_exercise_premium(*contract, *dividends)
    sign = 1.0 if is_call else -1.0
    assert np.all(premium >= 0.0)
    assert np.all(american_price(*contract, *dividends) >= sign * (SPOT - strike) - 1e-9)


def test_round_trip_with_dividends() -> None:
    strike = np.linspace(600.0, 760.0, 33)
    times, amounts = np.array([28, 119, 210, 301]) / 365.0, np.array([1.95, 1.97, 1.99, 2.01])
    for tte in (30 / 365, 125 / 365, 1.0):
        paid = times <= tte
        forward = (SPOT - amounts[paid] @ np.exp(-0.04 * times[paid])) * np.exp(0.0385 * tte)
        vol = 0.17 - 0.3 * np.log(strike / forward)
        is_call = strike > forward
        contract = (SPOT, strike, tte, 0.04, forward)
        price = american_price(*contract, vol, is_call, times, amounts)
        found = european_equivalent(price, *contract, is_call, times, amounts)
        assert np.all(found[3] == ImpliedVolStatus.OK)
        assert np.allclose(found[2], vol, rtol=0.0, atol=1e-6)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ((30.0, 100.0, 130.0, 0.5, 0.04, 101.0), ImpliedVolStatus.NO_TIME_VALUE),
        ((29.0, 100.0, 130.0, 0.5, 0.04, 101.0), ImpliedVolStatus.NO_TIME_VALUE),
        ((np.nan, 100.0, 130.0, 0.5, 0.04, 101.0), ImpliedVolStatus.NOT_FINITE),
        ((31.0, np.nan, 130.0, 0.5, 0.04, 101.0), ImpliedVolStatus.NOT_FINITE),
        ((31.0, 0.0, 130.0, 0.5, 0.04, 101.0), ImpliedVolStatus.BAD_INPUT),
        ((31.0, 100.0, 130.0, 0.0, 0.04, 101.0), ImpliedVolStatus.EXPIRED),
        ((128.0, 100.0, 130.0, 0.5, 0.04, 101.0), ImpliedVolStatus.ABOVE_MAXIMUM),
        ((31.0, 100.0, 130.0, 0.5, 0.04, 101.0), ImpliedVolStatus.OK),
    ],
)
def test_status_of_a_row(row: tuple[float, ...], expected: ImpliedVolStatus) -> None:
    european, premium, vol, status = european_equivalent(*row, False)
    assert ImpliedVolStatus(int(status)) is expected
    assert np.isnan([european, premium, vol]).all() == (expected is not ImpliedVolStatus.OK)


def test_dividends_above_the_stock_are_bad_input() -> None:
    result = european_equivalent(5.0, 100.0, 100.0, 1.0, 0.0, 100.0, True, [0.5], [100.0])
    assert result[3] == ImpliedVolStatus.BAD_INPUT
    assert np.isnan(early_exercise_premium(100, 100, 1.0, 0.0, 100, 0.2, True, [0.5], [100.0]))


def test_bad_calls_raise() -> None:
    contract = (100.0, 100.0, 1.0, 0.02, 100.0, 0.2, True)
    with pytest.raises(ValueError, match="one time for each amount"):
        early_exercise_premium(*contract, [0.1, 0.2], [1.0])
    with pytest.raises(ValueError, match="amounts >= 0"):
        early_exercise_premium(*contract, [0.1], [-1.0])
    with pytest.raises(ValueError, match="odd number"):
        early_exercise_premium(*contract, steps=100)
