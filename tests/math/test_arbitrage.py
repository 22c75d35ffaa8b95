"""Static arbitrage of raw quotes and between expiries: hand-made books and clean markets."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtr

from volsurf_math.arbitrage import (
    butterfly_test,
    butterfly_violations,
    calendar_slope,
    calendar_test,
    durrleman_g,
    vertical_test,
)

SVI = json.loads((Path(__file__).parents[1] / "reference" / "svi.json").read_text())
PAIRS = SVI["calendar_pairs"]


def book(mids, half_spread, is_call=True):
    mids = np.asarray(mids, float)
    n = mids.size
    return {
        "strike": 90.0 + 5.0 * np.arange(n),
        "bid": np.maximum(mids - half_spread, 0.0),
        "ask": mids + half_spread,
        "is_call": np.full(n, is_call),
        "group": np.zeros(n, np.int64),
    }


def test_prices_on_a_straight_line_break_nothing():
    """Seen on SPY of August 2026: one tick from strike to strike, violations of 3e-17 dollars."""
    ticks = np.arange(1, 60)
    strike, forward = 500.0 + 5.0 * ticks, np.full(ticks.size, 800.0)
    is_call = np.zeros(ticks.size, bool)
    one = {"strike": strike, "bid": 0.01 * ticks, "ask": 0.01 * ticks + 0.01, "is_call": is_call}
    flat = {"strike": strike, "bid": strike - 500.3, "ask": strike - 500.3, "is_call": is_call}
    for quotes in (one, flat):
        quotes["group"] = np.zeros(ticks.size, np.int64)
        both = {name: np.tile(column, 2) for name, column in quotes.items()}
        both["group"] = np.repeat([0, 1], ticks.size)
        for test in (
            butterfly_test(**quotes),
            vertical_test(**quotes),
            calendar_test(**both, forward=np.tile(forward, 2), discount_factor=0.97),
        ):
            assert not test.is_executable.any()
            assert not test.is_mid_only.any()


class TestVertical:
    def test_a_call_dearer_than_the_lower_strike(self):
        quotes = book([12.0, 8.0, 9.0, 4.0], 0.2)
        test = vertical_test(**quotes)
        # buy 95 at 8.2, sell 100 at 8.8; the drop from 100 to 105 (8.8 - 4.2) is below its width
        np.testing.assert_allclose(test.executable, [0.0, 0.6, 0.6, 0.0], atol=1e-12)
        np.testing.assert_allclose(test.mid, [0.0, 1.0, 1.0, 0.0], atol=1e-12)
        assert not test.is_mid_only.any()

    def test_a_wide_spread_hides_it_but_mid_does_not(self):
        test = vertical_test(**book([12.0, 8.0, 9.0, 4.0], 0.6))
        assert not test.is_executable.any()
        assert test.is_mid_only.tolist() == [False, True, True, False]

    def test_a_drop_faster_than_the_discounted_width(self):
        quotes = book([15.0, 9.8, 6.0], 0.05)
        test = vertical_test(**quotes, discount_factor=0.98)
        assert test.executable[0] == pytest.approx(14.95 - 9.85 - 4.9)
        assert vertical_test(**quotes).executable[0] == pytest.approx(14.95 - 9.85 - 5.0)

    def test_puts_are_mirrored(self):
        calls = book([12.0, 8.0, 9.0, 4.0], 0.2)
        puts = book([4.0, 9.0, 8.0, 12.0], 0.2, is_call=False)
        np.testing.assert_allclose(
            vertical_test(**puts).executable, vertical_test(**calls).executable[::-1], atol=1e-12
        )


class TestButterfly:
    def test_a_dear_middle_at_unequal_spacing(self):
        quotes = book([12.0, 9.5, 1.0], 0.1)
        quotes["strike"] = np.array([90.0, 95.0, 110.0])
        test = butterfly_test(**quotes)
        # three quarters of 90 and one quarter of 110 cost 0.75 * 12.1 + 0.25 * 1.1 = 9.35
        np.testing.assert_allclose(test.executable, [0.0, 9.4 - 9.35, 0.0], atol=1e-12)
        np.testing.assert_allclose(test.mid, [0.0, 9.5 - 9.25, 0.0], atol=1e-12)

    def test_the_size_is_the_least_payoff(self):
        rng = np.random.default_rng(0)
        strike = np.array([90.0, 97.0, 110.0])
        share = (110.0 - 97.0) / 20.0
        end = rng.uniform(50.0, 150.0, 1_000)
        payoff = np.maximum(end[:, None] - strike, 0.0) @ np.array([share, -1.0, 1.0 - share])
        assert payoff.min() >= -1e-12


class TestCalendar:
    def quotes(self, near_price, far_price, half_spread=0.1):
        mids = np.array([near_price, *far_price], float)
        return {
            "strike": np.array([100.0, 98.0, 104.0]),
            "bid": mids - half_spread,
            "ask": mids + half_spread,
            "is_call": np.array([True, True, True]),
            "group": np.array([0, 1, 1]),
            "forward": np.array([100.0, 100.0, 100.0]),
        }

    def test_a_near_option_dearer_than_the_far_line(self):
        test = calendar_test(**self.quotes(5.0, [5.0, 3.0]))
        # the far line at 100: two thirds of 5.1 and one third of 3.1
        line = (2 * 5.1 + 3.1) / 3
        np.testing.assert_allclose(test.executable, [4.9 - line, 0.0, 0.0], atol=1e-12)
        assert test.is_executable.tolist() == [True, False, False]

    def test_equal_moneyness_not_equal_strike(self):
        quotes = self.quotes(5.0, [5.0, 3.0])
        quotes["forward"] = np.array([100.0, 102.0, 102.0])
        quotes["strike"] = np.array([100.0, 102.0, 106.0])
        test = calendar_test(**quotes)
        assert test.mid[0] == pytest.approx(5.0 - 5.0 / 1.02)

    def test_nothing_is_extrapolated(self):
        quotes = self.quotes(50.0, [5.0, 3.0])
        quotes["strike"][0] = 97.0
        assert not calendar_test(**quotes).is_executable.any()


def black_market(seed=0, n_expiries=4):
    """Calls and puts of a flat smile, rows shuffled, tick-rounded spreads around the value."""
    rng = np.random.default_rng(seed)
    rows = []
    for group in range(n_expiries):
        tte = 0.1 * (group + 1)
        forward, sd = 100.0 * np.exp(0.02 * tte), 0.2 * np.sqrt(tte)
        for strike in np.arange(70.0, 131.0, 2.5):
            d1 = np.log(forward / strike) / sd + 0.5 * sd
            call = np.exp(-0.03 * tte) * (forward * ndtr(d1) - strike * ndtr(d1 - sd))
            put = call - np.exp(-0.03 * tte) * (forward - strike)
            rows += [
                (strike, price, is_call, group, forward, np.exp(-0.03 * tte))
                for price, is_call in ((call, True), (put, False))
            ]
    rng.shuffle(rows)
    strike, price, is_call, group, forward, discount = (
        np.array(x) for x in zip(*rows, strict=True)
    )
    half = rng.uniform(0.01, 0.1, price.size)
    return {
        "strike": strike,
        "bid": np.maximum(price - half, 0.0),
        "ask": price + half,
        "is_call": is_call,
        "group": group,
    }, {"forward": forward, "discount_factor": discount}


@pytest.mark.parametrize("seed", range(5))
def test_a_market_quoted_around_fair_value_offers_nothing(seed):
    quotes, terms = black_market(seed)
    discount = terms["discount_factor"]
    for test in (
        vertical_test(**quotes, discount_factor=discount),
        butterfly_test(**quotes),
        calendar_test(**quotes, **terms),
    ):
        assert (test.executable == 0.0).all()


def test_order_of_the_rows_does_not_matter():
    quotes, terms = black_market()
    quotes["bid"] *= 1.02
    quotes["ask"] = np.maximum(quotes["ask"], quotes["bid"])
    turned = {name: x[::-1] for name, x in quotes.items()}
    for test, more in ((vertical_test, {}), (butterfly_test, {}), (calendar_test, terms)):
        one = test(**quotes, **more)
        other = test(**turned, **{name: x[::-1] for name, x in more.items()})
        np.testing.assert_array_equal(one.executable, other.executable[::-1])
        np.testing.assert_array_equal(one.mid, other.mid[::-1])


@pytest.mark.parametrize("test", [vertical_test, butterfly_test])
def test_unusable_quotes_have_no_verdict_and_no_say(test):
    clean = book([12.0, 9.0, 7.0, 5.0], 0.1)
    dirty = {name: np.insert(x, 2, x[1]) for name, x in clean.items()}
    dirty["strike"][2], dirty["bid"][2], dirty["ask"][2] = 97.0, 50.0, 40.0  # crossed
    verdict = test(**dirty)
    assert np.isnan(verdict.executable).tolist() == [False, False, True, False, False]
    np.testing.assert_array_equal(np.delete(verdict.mid, 2), test(**clean).mid)
    for bad in (np.nan, -1.0, np.inf):
        dirty["bid"][2] = bad
        assert np.isnan(test(**dirty).executable[2])


@pytest.mark.parametrize("n", [0, 1, 2])
def test_books_of_almost_nothing(n):
    quotes = book([5.0, 4.0][:n], 0.1)
    more = {"forward": np.full(n, 100.0)}
    assert (vertical_test(**quotes).executable == 0.0).all()
    assert (butterfly_test(**quotes).executable == 0.0).all()
    assert (calendar_test(**quotes, **more).executable == 0.0).all()


class TestCalendarSlope:
    @pytest.mark.parametrize("pair", PAIRS, ids=[pair["name"] for pair in PAIRS])
    def test_sign_changes_where_the_reference_says(self, pair):
        parameters = np.array([pair["short"], pair["long"]])
        k = np.linspace(-1.0, 1.0, 2_001)
        ours = calendar_slope(parameters, np.array([0.5, 1.0]), k)
        assert bool(ours.min_gap[0] < 0.0) is bool(pair["crossings"])
        assert bool(ours.n_violations[0] > 0) is bool(pair["crossings"])
        for crossing in pair["crossings"]:
            at = calendar_slope(parameters, np.array([0.5, 1.0]), np.array([crossing]))
            assert at.min_gap[0] == pytest.approx(0.0, abs=1e-12)

    def test_slope_is_the_gap_per_year_and_wings_are_compared(self):
        parameters = np.array([[0.01, 0.1, -0.5, 0.0, 0.1], [0.02, 0.08, -0.5, 0.0, 0.1]])
        ours = calendar_slope(parameters, np.array([0.5, 0.75]), np.array([0.0]))
        assert ours.min_slope[0] == pytest.approx(ours.min_gap[0] / 0.25)
        assert ours.left_wing_gap[0] == pytest.approx(-0.03)
        assert ours.right_wing_gap[0] == pytest.approx(-0.01)

    def test_a_slice_without_parameters_gives_nan_for_its_pairs(self):
        parameters = np.array([[0.01, 0.1, -0.5, 0.0, 0.1]] * 3)
        parameters[1] = np.nan
        ours = calendar_slope(parameters, np.array([0.1, 0.2, 0.3]), np.linspace(-1, 1, 5))
        assert np.isnan(ours.min_gap).all()

    def test_one_expiry_has_no_pairs(self):
        ours = calendar_slope(np.ones((1, 5)) * 0.1, np.array([0.1]), np.linspace(-1, 1, 5))
        assert ours.min_gap.size == 0

    def test_unordered_expiries_are_refused(self):
        with pytest.raises(ValueError, match="strictly rising"):
            calendar_slope(np.ones((2, 5)), np.array([0.2, 0.1]), np.zeros(3))


def test_density_factor_of_a_flat_smile_is_one():
    k = np.linspace(-1.0, 1.0, 5)
    np.testing.assert_array_equal(durrleman_g(k, np.full(5, 0.04), 0.0 * k, 0.0 * k), 1.0)
    assert np.isnan(durrleman_g(k, np.zeros(5), 0.0 * k, 0.0 * k)).all()


def test_butterfly_violations_of_vogt_lie_between_the_reference_roots():
    vogt = next(row for row in SVI["slices"] if row["name"] == "vogt")
    low, high = vogt["g_roots"]
    parameters = np.array([list(vogt["raw"].values()), [0.01, 0.1, -0.5, 0.0, 0.1], 5 * [np.nan]])
    k = np.linspace(-2.0, 2.0, 401)
    inside = ((k > low) & (k < high)).sum()
    assert butterfly_violations(parameters, k).tolist() == [inside, 0, 0]
    assert butterfly_violations(parameters[:1] - [1.0, 0, 0, 0, 0], k).tolist() == [401]
