"""True prices obey the laws of prices, and clean quotes stand around them."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from volsurf_math.black import undiscounted_price
from volsurf_resources.simulated import SimulatedMarket
from volsurf_resources.simulated.pricing import Priced, price_chain
from volsurf_resources.simulated.world import make_world

CASES = [("SPY", date(2026, 8, 4)), ("QQQ", date(2020, 3, 19)), ("IWM", date(2017, 6, 2))]
CLEAN = SimulatedMarket(dirt=0.0)


def priced(symbol: str, day: date) -> Priced:
    return price_chain(make_world(7, 2028), symbol, day)


def sides(p: Priced, i: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the calls and of the puts of expiry i."""
    return tuple(np.flatnonzero((p.term == i) & (p.is_call == side)) for side in (True, False))


@pytest.mark.parametrize(("symbol", "day"), CASES)
def test_european_prices_keep_parity_and_have_a_density(symbol, day):
    p = priced(symbol, day)
    for i, term in enumerate(p.terms):
        calls, puts = sides(p, i)
        strike = p.strike[calls]
        np.testing.assert_array_equal(strike, p.strike[puts])
        parity = term.discount_factor * (term.forward - strike)
        np.testing.assert_allclose(p.european[calls] - p.european[puts], parity, atol=1e-9)
        slope = np.diff(p.european[calls]) / np.diff(strike)
        assert (np.diff(slope) > -1e-8).all()
        assert ((slope <= 1e-9) & (slope >= -term.discount_factor - 1e-9)).all()


@pytest.mark.parametrize(("symbol", "day"), CASES)
def test_total_variance_grows_with_the_expiry(symbol, day):
    truth = CLEAN.truth(symbol, day)
    before = np.zeros(9)
    for row in truth.iter_rows(named=True):
        span = np.linspace(-1.5, 1.5, 9) * row["atm_vol"] * np.sqrt(1 / 365)
        strike = row["forward"] * np.exp(span)
        vol = CLEAN.true_vol(symbol, day, row["expiration_date"], strike)
        total = vol**2 * row["tte_years"]
        assert (total[2:-2] > before[2:-2] * 0.999).all(), row["expiration_date"]
        before = total


@pytest.mark.parametrize(("symbol", "day"), CASES)
def test_volatility_gives_the_price_back(symbol, day):
    p = priced(symbol, day)
    vol = CLEAN.true_vol(symbol, day, p.terms[8].expiry.day, p.strike[sides(p, 8)[0]])
    calls = sides(p, 8)[0]
    term = p.terms[8]
    black = undiscounted_price(term.forward, p.strike[calls], vol**2 * term.tte, True)
    known = np.isfinite(vol)
    assert known.mean() > 0.5
    np.testing.assert_allclose(
        term.discount_factor * black[known], p.european[calls][known], atol=1e-8
    )


@pytest.mark.parametrize(("symbol", "day"), CASES)
def test_american_prices_are_worth_at_least_exercise_and_waiting(symbol, day):
    p, spot = priced(symbol, day), make_world(7, 2028).spot(symbol, day)
    exercise = np.where(p.is_call, spot - p.strike, p.strike - spot)
    assert (p.american >= p.european).all()
    assert (p.american > exercise - 2e-3 * spot * np.sqrt(p.of_terms("tte"))).all()
    puts = ~p.is_call & (p.strike > 1.2 * spot) & (p.of_terms("tte") > 0.5)
    assert (p.american[puts] > p.european[puts] + 0.01).mean() > 0.9


@pytest.mark.parametrize(("symbol", "day"), CASES)
def test_clean_quotes_stand_around_the_true_price(symbol, day):
    p, chain = priced(symbol, day), CLEAN.chain(symbol, day)
    bid, ask = chain["bid"].to_numpy(), chain["ask"].to_numpy()
    assert np.mean((bid <= p.american + 1e-9) & (p.american <= ask + 1e-9)) >= 0.99
    tick = np.where((p.american < 3.0) | (symbol == "SPY"), 0.01, 0.05)
    for side in (bid, ask):
        np.testing.assert_allclose(side / tick, np.round(side / tick), atol=1e-6)
    traded = chain.filter(pl.col("volume") > 0)
    assert (traded["last"] <= traded["ask"]).all()
    assert chain.filter(pl.col("volume") == 0)["last"].is_null().all()


def test_truth_says_what_the_pipeline_should_find():
    symbol, day = CASES[0]
    truth, rates = CLEAN.truth(symbol, day), CLEAN.rates(day)
    assert truth["expiration_date"].is_sorted()
    assert truth["expiration_date"].to_list() == sorted(
        set(CLEAN.chain(symbol, day)["expiration_date"])
    )
    zero = np.interp(truth["tte_years"], rates["tenor_years"], rates["zero_rate"])
    np.testing.assert_allclose(
        truth["discount_factor"], np.exp(-zero * truth["tte_years"].to_numpy()), rtol=1e-14
    )
    for row in truth.iter_rows(named=True):
        vol = CLEAN.true_vol(symbol, day, row["expiration_date"], row["forward"])
        assert float(vol) == pytest.approx(row["atm_vol"], abs=1e-9)
    assert set(truth["regime"]) == {CLEAN.regime(day)}


@pytest.mark.parametrize(("symbol", "day"), CASES)
def test_the_forward_can_be_read_from_the_quotes_less_early_exercise(symbol, day):
    p, chain = priced(symbol, day), CLEAN.chain(symbol, day)
    bid, ask = chain["bid"].to_numpy(), chain["ask"].to_numpy()
    mid = 0.5 * (bid + ask) - (p.american - p.european)
    for i, term in enumerate(p.terms):
        calls, puts = sides(p, i)
        near = np.abs(p.strike[calls] / term.forward - 1.0) < 0.05
        calls, puts = calls[near], puts[near]
        found = (mid[calls] - mid[puts]) / term.discount_factor + p.strike[calls]
        widths = np.median(ask[calls] - bid[calls] + ask[puts] - bid[puts])
        assert np.median(found) == pytest.approx(term.forward, abs=0.5 * widths)


def test_open_interest_is_of_the_session_before():
    symbol, day, before = "SPY", date(2026, 8, 5), date(2026, 8, 4)
    today, then = CLEAN.chain(symbol, day), set(CLEAN.chain(symbol, before)["contract_id"])
    new = today.filter(~pl.col("contract_id").is_in(list(then)))
    assert new.height > 0
    assert (new["open_interest"] == 0.0).all()
    old = today.filter(pl.col("contract_id").is_in(list(then)))
    assert (old["open_interest"] > 0.0).mean() > 0.5
