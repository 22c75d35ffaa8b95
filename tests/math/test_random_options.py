"""Random options against mpmath and QuantLib, which `pip install mpmath QuantLib` provides."""

import numpy as np
import pytest

from volsurf_math.american import american_price
from volsurf_math.greeks import black_greeks
from volsurf_math.implied_vol import ImpliedVolStatus, implied_vol

pytestmark = pytest.mark.slow
ULP = 2.0**-52


def exact_price(mp, forward, strike, s, sign):
    d1 = mp.log(mp.mpf(forward) / strike) / s + s / 2
    return sign * (forward * mp.ncdf(sign * d1) - strike * mp.ncdf(sign * (d1 - s)))


def exact_vol(mp, price, forward, strike, root, sign, start):
    def gap(vol):
        return exact_price(mp, mp.mpf(forward), mp.mpf(strike), vol * root, sign) - price

    return mp.findroot(gap, start, tol=1e-60, verify=False)


def test_implied_vol_is_the_exact_inverse_of_the_double_price() -> None:
    mp = pytest.importorskip("mpmath").mp
    mp.dps = 50
    rng = np.random.default_rng(7)
    for _ in range(300):
        tte, vol = 10.0 ** rng.uniform(-3, 0.7), 10.0 ** rng.uniform(-2, 0.5)
        forward, sign = 10.0 ** rng.uniform(-1, 4), rng.choice([-1, 1])
        strike = forward * np.exp(rng.uniform(-8, 8) * vol * np.sqrt(tte))
        root = mp.sqrt(mp.mpf(tte))
        price = float(exact_price(mp, mp.mpf(forward), mp.mpf(strike), vol * root, int(sign)))
        s = vol * np.sqrt(tte)
        d1 = np.log(forward / strike) / s + 0.5 * s
        vega = forward * np.sqrt(tte) * np.exp(-0.5 * d1 * d1) / np.sqrt(2.0 * np.pi)
        inevitable = ULP * price / vega
        if inevitable > 1e-3 * vol:
            continue
        exact = exact_vol(mp, price, forward, strike, root, int(sign), vol)
        found, status = implied_vol(price, forward, strike, tte, 1.0, sign > 0)
        assert status == ImpliedVolStatus.OK
        assert abs(found - float(exact)) <= 4 * inevitable + 4e-15 * vol, (
            forward,
            strike,
            tte,
            vol,
        )


def test_greeks_against_quantlib() -> None:
    ql = pytest.importorskip("QuantLib")
    rng = np.random.default_rng(8)
    for _ in range(200):
        tte, vol, df = rng.uniform(0.01, 3.0), rng.uniform(0.05, 0.8), rng.uniform(0.8, 1.0)
        strike = 100.0 * np.exp(rng.normal() * vol * np.sqrt(tte))
        is_call = bool(rng.random() < 0.5)
        payoff = ql.PlainVanillaPayoff(ql.Option.Call if is_call else ql.Option.Put, strike)
        theirs = ql.BlackCalculator(payoff, 100.0, vol * np.sqrt(tte), df)
        ours = black_greeks(100.0, strike, tte, vol, df, is_call)
        assert ours.price == pytest.approx(theirs.value(), rel=1e-11)
        assert ours.delta == pytest.approx(theirs.deltaForward(), rel=1e-11)
        assert ours.gamma == pytest.approx(theirs.gammaForward(), rel=1e-11)
        assert ours.vega == pytest.approx(theirs.vega(tte), rel=1e-11)


def test_american_price_against_andersen_lake_offengenden() -> None:
    ql = pytest.importorskip("QuantLib")
    today = ql.Date(2, 1, 2026)
    ql.Settings.instance().evaluationDate = today
    rng = np.random.default_rng(9)
    for _ in range(60):
        days, vol = int(rng.integers(5, 800)), rng.uniform(0.08, 0.6)
        rate, carry_yield = rng.uniform(0.001, 0.07), rng.uniform(0.0, 0.07)
        tte, is_call = days / 365.0, bool(rng.random() < 0.5)
        strike = 100.0 * np.exp(rng.normal() * vol * np.sqrt(tte))
        flat = [
            ql.YieldTermStructureHandle(ql.FlatForward(today, x, ql.Actual365Fixed()))
            for x in (carry_yield, rate)
        ]
        surface = ql.BlackConstantVol(today, ql.NullCalendar(), vol, ql.Actual365Fixed())
        process = ql.BlackScholesMertonProcess(
            ql.QuoteHandle(ql.SimpleQuote(100.0)), *flat, ql.BlackVolTermStructureHandle(surface)
        )
        side = ql.Option.Call if is_call else ql.Option.Put
        option = ql.VanillaOption(
            ql.PlainVanillaPayoff(side, strike), ql.AmericanExercise(today, today + days)
        )
        option.setPricingEngine(
            ql.QdFpAmericanEngine(process, ql.QdFpAmericanEngine.highPrecisionScheme())
        )
        forward = 100.0 * np.exp((rate - carry_yield) * tte)
        ours = american_price(100.0, strike, tte, rate, forward, vol, is_call)
        # 0.02 vol points at the money are 0.008 dollars per root year here.
        assert ours == pytest.approx(option.NPV(), abs=0.008 * np.sqrt(tte) + 1e-4)
