"""Repair of raw quotes: identity on clean ones, nothing left to find, the cheapest way there."""

from dataclasses import dataclass, fields

import numpy as np
import pytest
from scipy.optimize import linprog

from tests.math.test_essvi import random_market
from volsurf_math.arbitrage import butterfly_test, calendar_test, vertical_test
from volsurf_math.arbitrage_repair import INSIDE_COST, RepairStatus, repair_quotes
from volsurf_math.black import undiscounted_price


@dataclass(frozen=True)
class Chain:
    strike: np.ndarray
    bid: np.ndarray
    ask: np.ndarray
    is_call: np.ndarray
    group: np.ndarray
    forward: np.ndarray
    discount_factor: np.ndarray

    def arguments(self, **other):
        return {f.name: getattr(self, f.name) for f in fields(self)} | other

    def repair(self, **other):
        return repair_quotes(**self.arguments(**other))


def random_chain(seed, noise, n_slices=6, n_strikes=30):
    """Quotes of an arbitrage-free surface whose mids are `noise` half-spreads off, both sides."""
    rng = np.random.default_rng(seed)
    market = random_market(rng, n_slices, n_strikes)
    group = np.repeat(np.arange(n_slices), n_strikes)
    forward = 100.0 * np.exp(0.03 * market.tte)[group]
    discount = np.exp(-0.02 * market.tte)[group]
    strike = forward * np.exp(market.k)
    is_call = rng.random(strike.size) < 0.5
    price = discount * undiscounted_price(forward, strike, market.w, is_call)
    half = 0.01 + 0.01 * price
    mid = np.maximum(price + noise * half * rng.uniform(-1.0, 1.0, price.size), half)
    chain = Chain(strike, mid - half, mid + half, is_call, group, forward, discount)
    order = rng.permutation(strike.size)
    return Chain(*(getattr(chain, f.name)[order] for f in fields(chain))), price[order]


def worst_violation(chain, bid, ask):
    rest = {"is_call": chain.is_call, "group": chain.group}
    df = {"discount_factor": chain.discount_factor}
    tests = (
        vertical_test(chain.strike, bid, ask, **rest, **df),
        butterfly_test(chain.strike, bid, ask, **rest),
        calendar_test(chain.strike, bid, ask, forward=chain.forward, **rest, **df),
    )
    return max(float(np.nanmax(test.mid, initial=0.0)) for test in tests)


@pytest.mark.parametrize("noise", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("seed", range(4))
def test_repaired_quotes_pass_every_static_test(seed, noise):
    chain, _ = random_chain(seed, noise)
    assert worst_violation(chain, chain.bid, chain.ask) > 0.0
    repaired = chain.repair()
    assert worst_violation(chain, repaired.price, repaired.price) == 0.0
    moved = repaired.status != RepairStatus.UNCHANGED
    np.testing.assert_array_equal(moved, repaired.move != 0.0)
    edge = 1e-9 * chain.ask
    inside = (repaired.price >= chain.bid - edge) & (repaired.price <= chain.ask + edge)
    np.testing.assert_array_equal(inside, repaired.status != RepairStatus.MOVED_OUTSIDE_SPREAD)


@pytest.mark.parametrize("seed", range(3))
def test_quotes_without_arbitrage_come_back_as_they_are(seed):
    chain, price = random_chain(seed, 0.0)
    repaired = repair_quotes(**chain.arguments(bid=0.99 * price, ask=1.01 * price))
    np.testing.assert_allclose(repaired.price, price, rtol=1e-15)
    assert (repaired.status == RepairStatus.UNCHANGED).all()
    assert repaired.cost == 0.0


def test_a_repair_needs_no_second_one():
    chain, _ = random_chain(1, 1.0)
    once = chain.repair().price
    again = chain.repair(bid=0.999 * once, ask=1.001 * once)
    np.testing.assert_allclose(again.price, once, rtol=1e-14)
    assert again.cost == 0.0


def test_one_wild_quote_is_moved_and_hardly_any_other():
    chain, price = random_chain(3, 0.0)
    bid, ask = 0.99 * price, 1.01 * price
    wild = int(np.argsort(np.abs(np.log(chain.strike / chain.forward)))[5])
    bid[wild] *= 1.5
    ask[wild] *= 1.5
    repaired = chain.repair(bid=bid, ask=ask)
    assert repaired.status[wild] == RepairStatus.MOVED_OUTSIDE_SPREAD
    assert (repaired.status != RepairStatus.UNCHANGED).sum() <= 4
    assert abs(repaired.price[wild] / price[wild] - 1.0) < 0.1


def test_the_cost_is_that_of_a_dense_programme_over_all_pairs():
    """An independent statement: curves C_T on all strikes at once, convex, decreasing, ordered.

    Its unknowns are the calls of every expiry on the union of all strikes, of which only some are
    quoted. That such curves exist is what absence of static arbitrage means.
    """
    for seed in range(3):
        chain, _ = random_chain(seed, 1.5, n_slices=3, n_strikes=7)
        repaired = chain.repair(is_call=np.ones(21, dtype=bool), bid=chain.bid, ask=chain.ask)
        x = chain.strike / chain.forward
        grid, at = np.unique(np.concatenate(([0.0], x, [2.0 * x.max()])), return_inverse=True)
        at = at[1:-1]
        n, m = grid.size, x.size
        unit = chain.discount_factor * chain.forward
        mid, half = (0.5 * s / unit for s in (chain.bid + chain.ask, chain.ask - chain.bid))

        def point(t, i, n=n, m=m):
            row = np.zeros(3 * n + m)
            row[t * n + i] = 1.0
            return row

        upper, right = [], []  # upper @ (curves, cost) <= right
        for t in range(3):
            for i in range(1, n - 1):
                share = (grid[i + 1] - grid[i]) / (grid[i + 1] - grid[i - 1])
                chord = share * point(t, i - 1) + (1.0 - share) * point(t, i + 1)
                upper.append(point(t, i) - chord)
            upper += [point(t, 0) - point(t, 1), point(t, n - 1) - point(t, n - 2)]
            right += [0.0] * (n - 2) + [grid[1], 0.0]
        for t in range(2):
            upper += [point(t, i) - point(t + 1, i) for i in range(n)]
            right += [0.0] * n
        for q in range(m):
            price = point(chain.group[q], at[q])
            for slope, start in ((INSIDE_COST, 0.0), (1.0, INSIDE_COST - 1.0)):
                for sign in (-1.0, 1.0):
                    row = sign * slope / half[q] * price
                    row[3 * n + q] = -1.0
                    upper.append(row)
                    right.append(sign * slope / half[q] * mid[q] - start)
        objective = np.concatenate((np.zeros(3 * n), np.ones(m)))
        equal = np.array([point(t, 0) for t in range(3)])
        bounds = [(0.0, None)] * (3 * n) + [(None, None)] * m
        best = linprog(objective, np.array(upper), right, equal, np.ones(3), bounds)
        np.testing.assert_allclose(repaired.cost, best.fun, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("bad_bid", "bad_ask"),
    [(np.nan, 1.0), (1.0, np.nan), (np.inf, np.inf), (-np.inf, np.inf), (-1.0, 1.0), (2.0, 1.0)],
)
def test_unusable_quotes_take_no_part(bad_bid, bad_ask):
    chain, _ = random_chain(2, 1.0)
    bid, ask = chain.bid.copy(), chain.ask.copy()
    bid[::7], ask[::7] = bad_bid, bad_ask
    repaired = chain.repair(bid=bid, ask=ask)
    assert (repaired.status[::7] == RepairStatus.UNUSABLE).all()
    assert np.isnan(repaired.price[::7]).all()
    rest = np.arange(ask.size) % 7 > 0
    alone = Chain(*(getattr(chain, f.name)[rest] for f in fields(chain))).repair()
    np.testing.assert_array_equal(repaired.price[rest], alone.price)


@pytest.mark.parametrize("name", ["strike", "forward", "discount_factor"])
def test_rows_of_impossible_contracts_are_data(name):
    chain, _ = random_chain(2, 1.0)
    for bad in (0.0, -1.0, np.nan, np.inf):
        column = getattr(chain, name).copy()
        column[3] = bad
        repaired = chain.repair(**{name: column})
        assert repaired.status[3] == RepairStatus.UNUSABLE
        assert np.isnan(repaired.price[3])


def test_equal_strikes_get_one_price():
    chain, _ = random_chain(5, 0.5)
    double = Chain(*(np.concatenate((getattr(chain, f.name),) * 2) for f in fields(chain)))
    bid = double.bid + np.repeat([0.0, 0.05], chain.bid.size)
    repaired = double.repair(bid=bid, ask=double.ask + 0.05)
    one, other = repaired.price.reshape(2, -1)
    np.testing.assert_allclose(one, other, rtol=1e-12)
    assert worst_violation(double, repaired.price, repaired.price) < 1e-13


def test_few_quotes_and_none():
    chain, _ = random_chain(6, 0.0)
    for n in (0, 1, 2):
        few = Chain(*(getattr(chain, f.name)[:n] for f in fields(chain))).repair()
        assert few.price.shape == (n,)
        assert (few.status == RepairStatus.UNCHANGED).all()


def test_a_price_above_the_forward_is_brought_down():
    one = {"strike": np.array([100.0]), "is_call": np.array([True]), "group": np.array([0])}
    repaired = repair_quotes(bid=np.array([119.0]), ask=np.array([121.0]), forward=100.0, **one)
    np.testing.assert_allclose(repaired.price, 100.0, atol=1e-5)
    below = repair_quotes(bid=np.array([19.0]), ask=np.array([21.0]), forward=150.0, **one)
    np.testing.assert_allclose(below.price, 50.0, atol=1e-5)
