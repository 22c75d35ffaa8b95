"""Model-free variance: Cboe's sum on exact chains, its selection rule, and a smile's integral."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.math.random_smiles import random_market
from volsurf_math.black import undiscounted_price
from volsurf_math.smiles.svi import RawSvi
from volsurf_math.variance_swap import (
    Strip,
    StripStatus,
    model_free_variance,
    select_strip,
    smile_variance,
    strip_variance,
)

TRUTH = json.loads((Path(__file__).parents[1] / "reference" / "mfiv.json").read_text())
F, TTE, DF, VOL = 683.25, 30 / 365, 0.9967, 0.2


def chain(strike, forward=F, vol=VOL):
    """Premiums of puts and calls of one volatility, without a spread."""
    w = vol * vol * TTE
    return [DF * undiscounted_price(forward, strike, w, is_call) for is_call in (False, True)]


def variance_of(strike, put, call, forward=F):
    return model_free_variance(strike, put, put, call, call, forward, TTE, DF)


@pytest.mark.parametrize("case", TRUTH["cases"], ids=lambda c: f"{c['model']}-{c['strikes']}")
def test_cboe_sum_on_exact_chains(case):
    lowest, highest, step = case["strikes"]
    strike = np.arange(lowest, highest + 0.5 * step, step, dtype=np.float64)
    if case["otm_prices"] is None:
        w = case["params"]["vol"] ** 2 * case["T"]
        price = case["df"] * undiscounted_price(case["F"], strike, w, strike > case["F"])
    else:
        price = np.array(case["otm_prices"])
    price[strike == case["K0"]] = case["Q_at_K0_avg"]
    strip = Strip(strike=strike, price=price, split=case["K0"])
    found = strip_variance(strip, case["F"], case["T"], case["df"])
    assert found.status is StripStatus.OK
    assert found.variance == pytest.approx(case["cboe_variance"], rel=1e-12)


class TestSelection:
    strike = np.arange(600.0, 770.0, 5.0)

    def test_takes_puts_below_calls_above_and_both_at_the_split(self):
        put, call = chain(self.strike)
        strip = select_strip(self.strike, put - 0.01, put + 0.01, call - 0.02, call + 0.02, F)
        assert strip.split == 680.0
        np.testing.assert_allclose(strip.strike, self.strike)
        expected = np.where(self.strike < 680.0, put, call)
        expected[self.strike == 680.0] = 0.5 * (put + call)[self.strike == 680.0]
        np.testing.assert_allclose(strip.price, expected, rtol=1e-12)

    def test_two_zero_bids_in_a_row_end_a_wing_and_one_does_not(self):
        put, call = chain(self.strike)
        bid = put.copy()
        bid[self.strike == 660.0] = 0.0
        bid[np.isin(self.strike, (620.0, 625.0))] = [0.0, np.nan]
        above = call.copy()
        above[np.isin(self.strike, (740.0, 745.0))] = 0.0
        strip = select_strip(self.strike, bid, put, above, call, F)
        kept = (self.strike > 625.0) & (self.strike < 740.0) & (self.strike != 660.0)
        np.testing.assert_allclose(strip.strike, self.strike[kept])

    def test_a_zero_bid_beyond_the_last_pair_is_left_out(self):
        put, call = chain(self.strike)
        bid = put.copy()
        bid[0] = 0.0
        assert select_strip(self.strike, bid, put, call, call, F).strike[0] == 605.0

    def test_no_variance_has_a_reason(self):
        put, call = chain(self.strike)
        low, nothing = self.strike < F, np.zeros_like(put)
        found = variance_of(self.strike[~low], put[~low], call[~low])
        assert found.status is StripStatus.NO_STRIKE_AT_FORWARD
        assert variance_of(self.strike, put, nothing).status is StripStatus.NO_STRIKE_AT_FORWARD
        found = variance_of(self.strike[low], put[low], call[low])
        assert found.status is StripStatus.ONE_SIDED
        assert np.isnan(found.variance)
        assert variance_of(np.array([]), put[:0], call[:0]).n_strikes == 0
        found = model_free_variance(self.strike, put, put, call, call, F, 0.0, DF)
        assert found.status is StripStatus.BAD_INPUT

    def test_an_ask_that_is_missing_is_bad_input(self):
        put, call = chain(self.strike)
        ask = put.copy()
        ask[3] = np.nan
        found = model_free_variance(self.strike, put, ask, call, call, F, TTE, DF)
        assert found.status is StripStatus.BAD_INPUT

    def test_strikes_that_do_not_rise_are_refused(self):
        with pytest.raises(ValueError, match="rising strikes"):
            model_free_variance([2.0, 1.0], *np.ones((4, 2)), 1.5, TTE, DF)


class TestTruncation:
    def test_a_shorter_strip_falls_short_and_reports_its_reach(self):
        step, found = 1.0, []
        for deviations in (1.0, 2.0, 4.0, 8.0):
            width = F * VOL * np.sqrt(TTE) * deviations
            strike = np.arange(np.round(F - width), np.round(F + width), step)
            found.append(variance_of(strike, *chain(strike)))
        variance = [strip.variance for strip in found]
        assert (np.diff(variance) > 0.0).all()
        assert variance[0] < 0.9 * VOL**2
        assert variance[-1] == pytest.approx(VOL**2, rel=1e-3)
        assert found[1].put_reach == pytest.approx(2.0 * VOL * np.sqrt(TTE), rel=0.1)
        assert found[1].call_reach == pytest.approx(2.0 * VOL * np.sqrt(TTE), rel=0.1)


def replicated(smile):
    """Twice the integral of out-of-the-money prices over strike squared."""
    k = np.sinh(np.linspace(-9.0, 9.0, 400_001)) * 0.05
    price = undiscounted_price(1.0, np.exp(k), smile.total_variance(k), k > 0.0)
    return 2.0 * np.trapezoid(price * np.exp(-k), k)


class TestSmile:
    @pytest.mark.parametrize("row", TRUTH["smiles"]["rows"], ids=lambda row: row["name"])
    def test_truth(self, row):
        total = smile_variance(RawSvi(**row["raw"]))
        assert total == pytest.approx(row["total_variance"], rel=1e-12)

    def test_a_flat_smile_is_its_own_variance(self):
        flat = RawSvi(a=0.01, b=0.0, rho=0.0, m=0.1, sigma=0.2)
        assert smile_variance(flat) == pytest.approx(0.01, rel=1e-13)

    def test_random_smiles_replicate(self):
        for smile in random_market(25, seed=5).truth:
            assert smile_variance(smile) == pytest.approx(replicated(smile), rel=1e-6), smile

    @pytest.mark.parametrize("sigma", [1e-4, 3e-3])
    def test_a_smile_with_an_edge(self, sigma):
        smile = RawSvi(a=4e-4, b=0.02, rho=-0.6, m=0.005, sigma=sigma)
        assert smile_variance(smile) == pytest.approx(replicated(smile), rel=1e-6)

    def test_no_variance_where_there_is_no_smile(self):
        assert np.isnan(smile_variance(RawSvi(a=-0.1, b=0.1, rho=0.0, m=0.0, sigma=0.1)))
        assert np.isnan(smile_variance(RawSvi(a=0.1, b=1.2, rho=-0.9, m=0.0, sigma=0.1)))
