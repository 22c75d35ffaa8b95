"""Standing against the past: hand-computed values, and nothing from the future."""

import numpy as np
import pytest

from volsurf_math.variance_premium import standing


def test_by_hand():
    ours = standing(np.array([1.0, 2.0, 3.0, 4.0, 3.0]), window=4, min_count=4)
    # past 1 2 3 4: mean 2.5, sample deviation sqrt(5/3); two below, one tie of four
    assert ours.zscore == pytest.approx(0.5 / np.sqrt(5.0 / 3.0))
    assert ours.percentile == pytest.approx(62.5)
    assert ours.n_past == 4


def test_the_last_value_takes_no_part_in_its_own_yardstick():
    past = np.random.default_rng(0).standard_normal(100)
    ours = standing(np.append(past, 1_000.0), window=100, min_count=50)
    assert ours.zscore == pytest.approx((1_000.0 - past.mean()) / past.std(ddof=1))
    assert ours.percentile == 100.0


def test_only_the_window_counts():
    x = np.random.default_rng(1).standard_normal(300)
    assert standing(x, window=50, min_count=20) == standing(x[-51:], window=50, min_count=20)


def test_missing_dates_are_left_out_and_counted():
    x = np.arange(20.0)
    x[5] = np.nan
    assert standing(x, window=19, min_count=10).n_past == 18


@pytest.mark.parametrize("x", [np.arange(10.0), np.array([]), np.append(np.arange(99.0), np.nan)])
def test_no_standing_without_enough_past_or_a_last_value(x):
    ours = standing(x, window=252, min_count=63)
    assert np.isnan(ours.zscore)
    assert np.isnan(ours.percentile)


def test_a_past_that_does_not_vary_has_no_zscore():
    ours = standing(np.append(np.ones(80), 2.0))
    assert np.isnan(ours.zscore)
    assert ours.percentile == 100.0


def test_a_window_shorter_than_its_least_count_is_refused():
    with pytest.raises(ValueError, match="window >= min_count"):
        standing(np.arange(10.0), window=5, min_count=6)
