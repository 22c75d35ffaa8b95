"""Forwards from put-call parity: exact recovery, outliers, honest errors, American exercise."""

import json
from pathlib import Path

import numpy as np
import pytest

from volsurf_math.american import american_price
from volsurf_math.black import undiscounted_price
from volsurf_math.parity import ParityStatus, american_forward, fit_forward

REFERENCE = Path(__file__).parents[1] / "reference" / "american.json"  # QuantLib 1.44
FORWARD, DISCOUNT = 683.3, 0.985
STRIKE = np.arange(640.0, 722.0, 4.0)
HALF = np.full(STRIKE.size, 0.03)


def european_pairs() -> tuple[np.ndarray, np.ndarray]:
    call, put = (
        DISCOUNT * undiscounted_price(FORWARD, STRIKE, 0.17**2 * 0.3, side)
        for side in (True, False)
    )
    return call, put


@pytest.mark.parametrize("given", [None, DISCOUNT])
def test_clean_pairs_are_recovered_exactly(given: float | None) -> None:
    fit = fit_forward(STRIKE, *european_pairs(), HALF, HALF, discount_factor=given)
    assert fit.status is ParityStatus.OK
    assert fit.n_pairs == STRIKE.size
    assert fit.forward == pytest.approx(FORWARD, rel=1e-13)
    assert fit.discount_factor == pytest.approx(DISCOUNT, rel=1e-12)


@pytest.mark.parametrize("given", [None, DISCOUNT])
def test_outliers_are_dropped(given: float | None) -> None:
    call, put = european_pairs()
    call[[0, 3, 20]] += [4.0, -2.0, 9.0]
    put[[7, 8]] += [1.0, 30.0]
    rng = np.random.default_rng(1)
    noise = rng.normal(0.0, 0.01, STRIKE.size)
    fit = fit_forward(STRIKE, call + noise, put, HALF, HALF, discount_factor=given)
    assert fit.n_pairs == STRIKE.size - 5
    assert abs(fit.forward - FORWARD) < 4.0 * fit.forward_std_error
    assert fit.forward_std_error < 0.02
    assert fit.median_gap_half_spreads < 0.5


def test_wide_quotes_weigh_less() -> None:
    call, put = european_pairs()
    wide = HALF.copy()
    wide[:10] *= 20.0
    call[:10] += np.where(np.arange(10) % 2, 0.4, -0.4)
    weighted = fit_forward(STRIKE, call, put, wide, HALF)
    assert abs(weighted.forward - FORWARD) < 0.005


@pytest.mark.parametrize("given", [None, DISCOUNT])
def test_standard_errors_cover_the_truth(given: float | None) -> None:
    # Student's t with 19 or 20 degrees of freedom covers 93.5 % within 1.96 standard errors.
    rng = np.random.default_rng(20261120)
    call, put = european_pairs()
    score = []
    for _ in range(800):
        half = rng.uniform(0.01, 0.1, STRIKE.size)
        fit = fit_forward(
            STRIKE,
            call + rng.normal(0.0, 0.3, STRIKE.size) * half,
            put + rng.normal(0.0, 0.3, STRIKE.size) * half,
            half,
            half,
            discount_factor=given,
        )
        score.append((fit.forward - FORWARD) / fit.forward_std_error)
    assert 0.91 < np.mean(np.abs(score) < 1.96) < 0.965
    assert abs(np.mean(score)) < 4.0 / np.sqrt(800)


def american_pairs(rate, carry_yield, tte, times=(), amounts=()):
    times, amounts = np.asarray(times, dtype=float), np.asarray(amounts, dtype=float)
    paid = times <= tte
    escrow = amounts[paid] @ np.exp(-rate * times[paid])
    forward = (680.0 - escrow) * np.exp((rate - carry_yield) * tte)
    strike = np.round(forward * np.linspace(0.97, 1.03, 13))
    vol = 0.17 - 0.3 * np.log(strike / forward)
    call, put = (
        american_price(680.0, strike, tte, rate, forward, vol, side, times, amounts)
        for side in (True, False)
    )
    return forward, strike, call, put


@pytest.mark.parametrize(
    ("days", "bias_bp"), [(7, -0.9), (30, -2.3), (91, -7.4), (182, -16.9), (365, -41), (730, -109)]
)
def test_american_pairs_bias_parity_as_published_and_the_iteration_removes_it(
    days: int, bias_bp: float
) -> None:
    # Biases of plain parity: the study in american.json (field F_parity_err_bp, r 4 %, q 1.2 %).
    rows = json.loads(REFERENCE.read_text())["iv_error_table"]
    published = {r["days"]: r["F_parity_err_bp"] for r in rows if (r["r"], r["q"]) == (0.04, 0.012)}
    assert published[days] == pytest.approx(bias_bp, abs=0.6)
    tte, half = days / 365.0, np.full(13, 0.05)
    forward, strike, call, put = american_pairs(0.04, 0.012, tte)
    plain = fit_forward(strike, call, put, half, half, discount_factor=np.exp(-0.04 * tte))
    ours = american_forward(strike, call, put, half, half, 680.0, tte, 0.04)
    assert 1e4 * (plain.forward / forward - 1.0) == pytest.approx(bias_bp, abs=1.0)
    assert abs(1e4 * (ours.forward / forward - 1.0)) < max(0.01 * abs(bias_bp), 0.1)


@pytest.mark.parametrize("days", [7, 30, 91, 365])
def test_american_forward_with_cash_dividends_and_borrow(days: int) -> None:
    tte, half = days / 365.0, np.full(13, 0.05)
    dividends = (np.array([28, 119, 210, 301]) / 365.0, np.array([1.95, 1.97, 1.99, 2.01]))
    forward, strike, call, put = american_pairs(0.04, 0.003, tte, *dividends)
    fit = american_forward(strike, call, put, half, half, 680.0, tte, 0.04, *dividends)
    assert fit.status is ParityStatus.OK
    assert abs(1e4 * (fit.forward / forward - 1.0)) < 0.1


def test_pairs_that_agree_by_chance_do_not_outvote_those_within_their_half_spreads() -> None:
    """Mids stand on ticks: some pairs coincide, which tells nothing of the others' errors."""
    call, put = european_pairs()
    off = 0.6 * np.hypot(HALF, HALF) * np.resize([1.0, 0.0, 0.0, -1.0, 0.0, 0.0], STRIKE.size)
    fit = fit_forward(STRIKE, call + off, put, HALF, HALF, discount_factor=DISCOUNT)
    assert fit.n_pairs == STRIKE.size
    assert abs(fit.forward - FORWARD) < 3.0 * fit.forward_std_error


def test_statuses() -> None:
    call, put = european_pairs()
    one = slice(10, 11)
    columns = (STRIKE, call, put, HALF, HALF)
    single = [column[one] for column in columns]
    assert fit_forward(*single).status is ParityStatus.TOO_FEW_PAIRS
    known = fit_forward(*single, discount_factor=DISCOUNT)
    assert known.status is ParityStatus.OK
    assert known.forward_std_error == pytest.approx(np.hypot(0.03, 0.03) / DISCOUNT)
    empty = [column[:0] for column in columns]
    assert fit_forward(*empty, discount_factor=DISCOUNT).status is ParityStatus.TOO_FEW_PAIRS
    assert fit_forward(STRIKE, put, call, HALF, HALF).status is ParityStatus.IMPLAUSIBLE_DISCOUNT
    below = fit_forward(STRIKE, call - 900.0, put, HALF, HALF, discount_factor=DISCOUNT)
    assert below.status is ParityStatus.IMPLAUSIBLE_FORWARD
    assert fit_forward(*columns, discount_factor=np.nan).status is ParityStatus.BAD_INPUT
    bad = american_forward(*columns, np.nan, 0.3, 0.04)
    assert bad.status is ParityStatus.BAD_INPUT
    assert np.isnan(bad.forward)


def test_rows_that_are_not_finite_and_locked_quotes_do_no_harm() -> None:
    call, put = european_pairs()
    call[4] = np.nan
    half = HALF.copy()
    half[9] = 0.0
    fit = fit_forward(STRIKE, call, put, half, half)
    assert fit.n_pairs == STRIKE.size - 1
    assert fit.forward == pytest.approx(FORWARD, rel=1e-12)
    locked = fit_forward(STRIKE, call, put, 0.0 * half, 0.0 * half)
    assert locked.forward == pytest.approx(FORWARD, rel=1e-12)
