"""The path: bars that hold together, variance that is realised, a premium for bearing it."""

from dataclasses import replace

import numpy as np
import pytest

from volsurf_math.simulation.dynamics import (
    STEPS,
    Draws,
    FundLaw,
    JumpLaw,
    MarketLaw,
    Path,
    pricing_law,
    simulate,
)

FUNDS = (
    FundLaw(spot=100.0),
    FundLaw(spot=50.0, scale=1.5, return_loading=0.9, variance_loading=0.9),
)
MARKET = MarketLaw()
CALM = replace(
    MARKET, jumps=JumpLaw(intensity_per_variance=0.0, mean=0.0, sd=0.0), regime_variance=(0.02,) * 3
)
SESSIONS = 3000


def draws(n: int, seed: int = 1) -> Draws:
    def generator(purpose: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox([seed, purpose]))

    shape = (n, STEPS, len(FUNDS), 2)
    return Draws(
        normals=generator(1).standard_normal(shape),
        uniforms=1.0 - generator(2).random(shape),
        jump_uniforms=1.0 - generator(3).random((n, STEPS)),
        jump_normals=generator(4).standard_normal((n, STEPS)),
        regime_uniforms=1.0 - generator(5).random(n),
    )


def run(market: MarketLaw = MARKET, n: int = SESSIONS, ex_dates=(), funds=FUNDS) -> Path:
    is_ex_date = np.isin(np.arange(n), ex_dates)
    return simulate(market, funds, draws(n), np.full(n, 0.03), is_ex_date)


def test_bars_hold_open_close_and_quote():
    path = run()
    for inside in (path.open, path.close, path.quote_spot):
        assert (path.low <= inside).all()
        assert (inside <= path.high).all()
    first, high, low, last = np.moveaxis(path.variance_ohlc, -1, 0)
    assert (low <= np.minimum(first, last)).all()
    assert (high >= np.maximum(first, last)).all()
    assert (path.variance >= MARKET.lowest_variance).all()


def test_a_longer_path_repeats_the_shorter_one():
    short, long = run(n=100), run(n=200)
    np.testing.assert_array_equal(short.close, long.close[:100])
    np.testing.assert_array_equal(short.regime, long.regime[:100])


def test_returns_realise_the_variance_of_the_state():
    path = run(CALM)
    ratio = path.squared_returns.sum(axis=0) / path.integrated_variance.sum(axis=0)
    error = np.sqrt(2.0 / (SESSIONS * STEPS))  # of a mean of squared normals
    np.testing.assert_allclose(ratio, 1.0, atol=6 * error)


def test_the_range_realises_it_too():
    path = run(CALM)
    parkinson = np.log(path.high / path.low) ** 2 / (4.0 * np.log(2.0))
    day = (1.0 - CALM.night_share) * path.integrated_variance
    ratio = parkinson.sum(axis=0) / day.sum(axis=0)
    np.testing.assert_allclose(ratio, 1.0, atol=0.06)


def test_variance_reverts_to_its_mean_in_proportion_to_the_fund():
    path = run(replace(CALM, kappa=20.0), n=20_000)
    np.testing.assert_allclose(path.variance.mean(axis=0), [0.02, 0.03], rtol=0.06)


def test_falling_prices_come_with_rising_variance_in_all_funds():
    path = run()
    returns = np.diff(np.log(path.close), axis=0)
    changes = np.diff(path.variance, axis=0)
    assert np.corrcoef(returns.T)[0, 1] > 0.8
    for j in range(len(FUNDS)):
        assert np.corrcoef(returns[:, j], changes[:, j])[0, 1] < -0.3


def test_regimes_last_and_all_occur():
    regime = run(n=20_000).regime
    assert set(np.unique(regime)) == {0, 1, 2}
    assert (np.diff(regime) != 0).mean() < 0.03


def test_a_dividend_lowers_the_open_and_is_known_a_quarter_before():
    funds = (replace(FUNDS[0], dividend_yield=0.08), FUNDS[1])
    without, path = run(n=50, funds=funds), run(n=50, ex_dates=(20, 40), funds=funds)
    np.testing.assert_array_equal(without.close[:20], path.close[:20])
    np.testing.assert_array_equal(without.close[:, 1], path.close[:, 1])
    assert (path.next_dividend[:20, 0] == 2.0).all()
    np.testing.assert_array_equal(np.flatnonzero(path.dividend[:, 0]), [20, 40])
    before = without.close[19, 0]
    assert path.open[20, 0] == pytest.approx(without.open[20, 0] * (before - 2.0) / before)
    assert path.next_dividend[20, 0] == pytest.approx(0.02 * path.open[20, 0], abs=0.005)
    assert path.dividend[40, 0] == path.next_dividend[39, 0]


@pytest.mark.parametrize("level", MARKET.regime_variance)
def test_options_cost_more_than_the_variance_to_come(level):
    law = pricing_law(MARKET, FUNDS[0], level, level)
    jumps = MARKET.jumps
    expected = level * (1.0 + jumps.intensity_per_variance * (jumps.mean**2 + jumps.sd**2))
    for tte in (7 / 365, 30 / 365, 1.0):
        assert law.log_contract_variance(tte) > expected


def test_a_fund_of_twice_the_variance_has_its_law_scaled():
    wide = pricing_law(MARKET, replace(FUNDS[0], scale=4.0), 0.08, 0.02)
    narrow = pricing_law(MARKET, FUNDS[0], 0.02, 0.02)
    assert wide.log_contract_variance(0.5) == pytest.approx(
        4.0 * narrow.log_contract_variance(0.5), rel=1e-2
    )
