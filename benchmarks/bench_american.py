"""De-Americanisation of SPY-like options: `python benchmarks/bench_american.py`.

Ours beside SciPy's brentq on a NumPy binomial tree and, where it is installed, on QuantLib's fast
Andersen-Lake-Offengenden engine. Errors are against the volatility that made the price, with a
tree of 399 steps. Without cash dividends, because the peers then solve the same problem.
"""

from importlib.util import find_spec

import numpy as np
from scipy.optimize import brentq
from side_by_side import Goal, machine, report

from volsurf_math.american import american_price, european_equivalent
from volsurf_math.parity import american_forward

SPOT, RATE, YIELD = 680.0, 0.04, 0.012
FEW = 40  # options of a method that takes them one by one


def options(n):
    """Out-of-the-money options of 7 days to 2 years with a skew, and their American prices."""
    rng = np.random.default_rng(20261120)
    tte = rng.choice([7, 30, 91, 182, 365, 730], n) / 365.0
    forward = SPOT * np.exp((RATE - YIELD) * tte)
    z = rng.uniform(-2.0, 1.2, n)
    vol = 0.17 - 0.06 * z
    strike = forward * np.exp(z * vol * np.sqrt(tte))
    is_call = strike >= forward
    price = american_price(SPOT, strike, tte, RATE, forward, vol, is_call, steps=399)
    return price, strike, tte, forward, is_call, vol


def binomial(vol, strike, tte, is_call, steps=400):
    """Cox-Ross-Rubinstein, one NumPy row of nodes at a time."""
    dt = tte / steps
    up = np.exp(vol * np.sqrt(dt))
    p = (np.exp((RATE - YIELD) * dt) - 1.0 / up) / (up - 1.0 / up)
    sign = 1.0 if is_call else -1.0
    nodes = SPOT * up ** (2.0 * np.arange(steps + 1) - steps)
    value = np.maximum(sign * (nodes - strike), 0.0)
    discount = np.exp(-RATE * dt)
    for i in range(steps - 1, -1, -1):
        nodes = nodes[: i + 1] * up
        kept = discount * (p * value[1:] + (1.0 - p) * value[:-1])
        value = np.maximum(kept, sign * (nodes - strike))
    return value[0]


def quantlib_price():
    """Return a pricing function on one QuantLib option, re-struck and re-priced."""
    import QuantLib as ql

    today = ql.Date(2, 1, 2026)
    ql.Settings.instance().evaluationDate = today
    flat = [
        ql.YieldTermStructureHandle(ql.FlatForward(today, x, ql.Actual365Fixed()))
        for x in (YIELD, RATE)
    ]
    vol_quote = ql.SimpleQuote(0.2)
    surface = ql.BlackConstantVol(
        today, ql.NullCalendar(), ql.QuoteHandle(vol_quote), ql.Actual365Fixed()
    )
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(ql.SimpleQuote(SPOT)), *flat, ql.BlackVolTermStructureHandle(surface)
    )
    engine = ql.QdFpAmericanEngine(process, ql.QdFpAmericanEngine.fastScheme())

    def price(vol, strike, tte, is_call):
        exercise = ql.AmericanExercise(today, today + round(tte * 365))
        side = ql.Option.Call if is_call else ql.Option.Put
        option = ql.VanillaOption(ql.PlainVanillaPayoff(side, strike), exercise)
        option.setPricingEngine(engine)
        vol_quote.setValue(vol)
        return option.NPV()

    return price


def by_root(pricer, price, strike, tte, forward, is_call):
    rows = zip(price, strike, tte, is_call, strict=True)
    return np.array(
        [
            brentq(
                lambda v, p=p, k=k, t=t, c=c: pricer(v, float(k), float(t), bool(c)) - p, 0.02, 2
            )
            for p, k, t, c in rows
        ]
    )


def speed_table():
    *row, vol = options(5000)
    price, strike, tte, forward, is_call = row

    def ours(steps):
        return lambda: european_equivalent(
            price, SPOT, strike, tte, RATE, forward, is_call, steps=steps
        )

    def worth(found):
        return f"largest error {100 * np.nanmax(np.abs(found - vol[: found.size])):.4f} vol points"

    ways = {}
    for steps in (75, 51, 101, 201):
        ways[f"volsurf, {steps} steps"] = (ours(steps), price.size, worth(ours(steps)()[2]))
    pricers = {"SciPy brentq, NumPy tree of 400": binomial}
    if find_spec("QuantLib"):
        pricers["SciPy brentq, QuantLib QdFp fast"] = quantlib_price()
    some = [column[:FEW] for column in row]
    for name, pricer in pricers.items():
        found = by_root(pricer, *some)
        ways[name] = (lambda pricer=pricer: by_root(pricer, *some), FEW, worth(found))
    goal = Goal(most=30.0)
    yield report("European equivalent of American options", ways, unit="us", goal=goal)


def bench_forward() -> None:
    """One session of SPY: 35 expiries of 24 pairs with quarterly dividends."""
    times, amounts = np.arange(1, 12) * 0.25 - 0.1, np.full(11, 1.95)
    chains = []
    for tte in np.geomspace(3 / 365, 2.5, 35):
        paid = times <= tte
        forward = (SPOT - amounts[paid] @ np.exp(-RATE * times[paid])) * np.exp(RATE * tte)
        strike = np.round(forward * np.linspace(0.96, 1.04, 24))
        vol = 0.17 - 0.3 * np.log(strike / forward)
        legs = [
            american_price(SPOT, strike, tte, RATE, forward, vol, side, times, amounts)
            for side in (True, False)
        ]
        half = np.full(strike.size, 0.05)
        chains.append((forward, (strike, *legs, half, half, SPOT, tte, RATE, times, amounts)))

    def session():
        return [american_forward(*chain) for _, chain in chains]

    error = max(
        abs(fit.forward / forward - 1.0)
        for fit, (forward, _) in zip(session(), chains, strict=True)
    )
    note = f"largest error {1e4 * error:.4f} bp of the forward"
    report("forwards of a session, 35 expiries", {"volsurf": (session, 1, note)}, unit="ms")


def main() -> None:
    print(machine())
    list(speed_table())
    bench_forward()


if __name__ == "__main__":
    main()
