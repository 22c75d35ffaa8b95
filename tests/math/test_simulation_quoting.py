"""Quotes on the tick around a price, and where customers trade."""

import numpy as np

from volsurf_math.simulation.quoting import activity, half_spread, quotes, tick_size

PRICE = np.array([0.001, 0.02, 0.5, 2.99, 3.0, 12.34, 250.0])


def test_ticks_change_at_three_dollars_outside_the_penny_classes():
    np.testing.assert_array_equal(tick_size(PRICE, True), np.full(PRICE.size, 0.01))
    np.testing.assert_array_equal(tick_size(PRICE, False), [0.01] * 4 + [0.05] * 3)


def test_quotes_stand_on_the_tick_around_the_price():
    for lean in (-0.9, 0.0, 0.9):
        tick = tick_size(PRICE, False)
        bid, ask = quotes(PRICE, np.full(PRICE.size, 0.013), np.full(PRICE.size, lean), tick)
        assert (bid <= PRICE).all()
        assert (ask >= PRICE).all()
        assert (ask - bid >= tick - 1e-9).all()
        assert (bid >= 0.0).all()
        for side in (bid, ask):
            np.testing.assert_allclose(side / tick, np.round(side / tick), atol=1e-6)
    assert bid[0] == 0.0


def width(intrinsic=0.0, deviations=0.0, tte=0.1, variance=0.02):
    one = np.ones(1)
    return half_spread(
        intrinsic * one, 80.0 * one, deviations * one, tte * one, 0.01 * one, variance
    )[0]


def test_spreads_widen_in_the_wings_with_time_in_the_money_and_in_stress():
    assert width() >= 0.005
    for wider in ({"deviations": -3.0}, {"tte": 2.0}, {"intrinsic": 50.0}, {"variance": 0.2}):
        assert width(**wider) > width(), wider


def test_activity_gathers_near_the_money_at_round_strikes_and_monthlies():
    def of(strike=501.0, deviations=0.0, tte=0.1, is_monthly=False):
        args = (np.array([strike]), np.array([deviations]), np.array([tte]))
        return activity(*args, np.array([is_monthly]))[0]

    assert of(deviations=3.0) < of(deviations=-3.0) < of()
    assert of() < of(strike=505.0) < of(strike=525.0)
    assert of(tte=1.0) < of()
    assert of() < of(is_monthly=True)
