"""Event smiles: densities of two modes are found, ordinary smiles and lone wild quotes are not."""

import numpy as np
import pytest

from tests.math.random_smiles import random_market
from volsurf_math.black import undiscounted_price
from volsurf_math.implied_vol import implied_vol
from volsurf_math.smiles.event_bump import MIN_POINTS, REACH, event_bumps

X = np.linspace(-3.0, 3.0, 49)  # standard deviations


def one(x, w, half_spread):
    """The bump of a single slice."""
    spread = np.broadcast_to(half_spread, x.shape).astype(float)
    return event_bumps(x, w, spread, np.array([0, x.size]))


def two_jumps(jump, sd, x=X):
    """Total variance where the forward jumps up or down by `jump` and then diffuses by `sd`.

    Prices are the mean of two Black prices; the mean of the two forwards is the forward.
    """
    forwards = np.exp([jump, -jump]) / np.cosh(jump)
    reach = x * np.hypot(jump, sd)
    strike, is_call = np.exp(reach), reach >= 0.0
    price = np.mean([undiscounted_price(f, strike, sd**2, is_call) for f in forwards], axis=0)
    vol, status = implied_vol(price, 1.0, strike, 1.0, 1.0, is_call)
    assert (status == 0).all()
    return vol**2


def test_the_bump_of_a_parabola_is_its_own():
    w = 0.04 + 0.01 * X - 0.003 * X**2
    found = one(X, w, 0.001)
    assert found.bump[0] == pytest.approx(0.003 * REACH**2)
    assert found.std_error[0] == pytest.approx(0.0, abs=1e-9)
    assert found.half_spread[0] == pytest.approx(0.001)
    assert found.n_points[0] == (np.abs(X) <= REACH).sum()
    assert found.is_event[0]
    assert not one(X, -w + 0.1, 0.001).is_event[0]


@pytest.mark.parametrize(("jump", "sd"), [(0.05, 0.05), (0.04, 0.03), (0.08, 0.03), (0.03, 0.02)])
def test_two_jumps_are_an_event(jump, sd):
    w = two_jumps(jump, sd)
    spread = 0.01 * w  # half a vol point in a hundred
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, X.size) * spread
    for quotes in (w, w + noise):
        found = one(X, quotes, spread)
        assert found.is_event[0]
        assert found.bump[0] > 1.5 * found.half_spread[0]


def test_without_a_jump_there_is_no_event():
    assert not one(X, two_jumps(0.0, 0.05), 1e-6).is_event[0]
    assert not one(X, two_jumps(0.02, 0.05), 0.02 * 0.05**2).is_event[0]


def test_of_a_thousand_noisy_ordinary_smiles_none_is_an_event():
    market = random_market(1000, seed=5, noise=0.9)
    sizes = np.diff(market.offsets)
    at_money = np.array([smile.total_variance(0.0) for smile in market.truth])
    x = market.k / np.repeat(np.sqrt(at_money), sizes)
    found = event_bumps(x, market.w, market.weight**-0.5, market.offsets)
    known = np.isfinite(found.bump)
    assert known.sum() > 700
    assert (found.bump[known] < 0.0).mean() > 0.9
    assert found.is_event.sum() <= 1


@pytest.mark.parametrize("miss", [3.0, 30.0, 1000.0])
def test_a_lone_wild_quote_is_no_event(miss):
    w, spread = 0.04 + 0.004 * X**2, np.full(X.size, 2e-4)
    for i in np.flatnonzero(np.abs(X) <= REACH):
        for sign in (-1.0, 1.0):
            spoilt = w.copy()
            spoilt[i] += sign * miss * spread[i]
            assert not one(X, spoilt, spread).is_event[0]


def test_too_few_quotes_tell_nothing():
    near = np.flatnonzero(np.abs(X) <= REACH)
    for x in (
        X[near][: MIN_POINTS - 1],
        X[X > 0.0],
        np.repeat([-0.5, 0.5], 10),  # two strikes make no parabola
        np.empty(0),
    ):
        found = one(x, np.full(x.size, 0.04), 1e-4)
        assert np.isnan([found.bump[0], found.std_error[0], found.half_spread[0]]).all()
        assert not found.is_event[0]


def test_rows_that_cannot_take_part_are_left_out():
    w, spread = two_jumps(0.05, 0.05), np.full(X.size, 1e-5)
    fair = one(X, w, spread)
    bad_w, bad_spread = np.append(w, [np.nan, 1.0, 1.0]), np.append(spread, [1e-5, 0.0, np.nan])
    found = one(np.append(X, [0.0, 0.1, -0.1]), bad_w, bad_spread)
    assert found.bump[0] == fair.bump[0]
    assert found.n_points[0] == fair.n_points[0]


def test_slices_do_not_know_each_other():
    slices = [two_jumps(0.05, 0.05), 0.04 + 0.01 * X**2, np.empty(0), two_jumps(0.03, 0.02)]
    sizes = [w.size for w in slices]
    x = np.concatenate([X[:n] for n in sizes])
    together = event_bumps(x, np.concatenate(slices), np.full(x.size, 1e-5), np.cumsum([0, *sizes]))
    alone = [one(X[: w.size], w, 1e-5).bump[0] for w in slices]
    np.testing.assert_allclose(together.bump, alone, rtol=1e-9)
    assert together.is_event.tolist() == [True, False, False, True]
