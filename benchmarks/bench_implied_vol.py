"""Black price, greeks and implied volatility: `python benchmarks/bench_implied_vol.py`.

Ours beside a NumPy/SciPy twin, a SciPy root-finder and, where it is installed, QuantLib. The error
of an implied volatility is stated in units of what rounding of the price makes inevitable,
2^-52 price / vega + 1e-15 vol.
"""

from importlib.util import find_spec

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr
from side_by_side import Goal, machine, report

from volsurf_math.black import undiscounted_price
from volsurf_math.greeks import black_greeks
from volsurf_math.implied_vol import implied_vol

FEW = 500  # options of a method that takes them one by one


def realistic(rng, n):
    """Out-of-the-money options of 1 day to 2 years, within about 3 standard deviations."""
    tte, vol = rng.uniform(1 / 365, 2.0, n), np.exp(rng.normal(np.log(0.22), 0.4, n))
    forward = 100.0 * np.exp(rng.normal(size=n))
    strike = forward * np.exp(rng.normal(size=n) * vol * np.sqrt(tte))
    return forward, strike, tte, vol, np.exp(-0.04 * tte), strike >= forward


def hard(rng, n):
    """Options of 1 day to 5 years, 1 % to 400 %, 12 standard deviations to either side."""
    tte = 10.0 ** rng.uniform(np.log10(1 / 365), np.log10(5.0), n)
    vol = 10.0 ** rng.uniform(-2.0, np.log10(4.0), n)
    forward = 100.0 * np.exp(rng.normal(size=n))
    strike = forward * np.exp(rng.uniform(-12.0, 12.0, n) * vol * np.sqrt(tte))
    price = undiscounted_price(forward, strike, vol * vol * tte, strike >= forward)
    keep = (price > 1e-290) & (price < 0.999 * np.minimum(forward, strike))
    columns = (forward, strike, tte, vol, np.ones(n), strike >= forward)
    return tuple(column[keep] for column in columns)


def twin_price(forward, strike, s, sign):
    d1 = np.log(forward / strike) / s + 0.5 * s
    return sign * (forward * ndtr(sign * d1) - strike * ndtr(sign * (d1 - s)))


def twin_greeks(forward, strike, tte, vol, df, is_call):
    root, sign = np.sqrt(tte), np.where(is_call, 1.0, -1.0)
    s = vol * root
    d1 = np.log(forward / strike) / s + 0.5 * s
    d2 = d1 - s
    density = df * np.exp(-0.5 * d1 * d1) / np.sqrt(2.0 * np.pi)
    n1, n2 = df * sign * ndtr(sign * d1), df * sign * ndtr(sign * d2)
    vega = forward * density * root
    return (
        forward * n1 - strike * n2,
        n1,
        density / (forward * s),
        vega,
        -0.5 * vega * vol / tte,
        tte * strike * n2,
        -density * d2 / vol,
        vega * d1 * d2 / vol,
    )


def quantlib_greeks(forward, strike, tte, vol, df, is_call):
    import QuantLib as ql

    side = np.where(is_call, ql.Option.Call, ql.Option.Put).tolist()
    rows = zip(side, *(x.tolist() for x in (strike, forward, tte, vol, df)), strict=True)
    found = []
    for kind, k, f, t, v, d in rows:
        one = ql.BlackCalculator(ql.PlainVanillaPayoff(kind, k), f, v * t**0.5, d)
        first = one.value(), one.deltaForward(), one.gammaForward(), one.vega(t)
        found.append((*first, one.theta(f, t), one.rho(t)))
    return np.array(found)


def twin_implied_vol(price, forward, strike, tte, df, is_call):
    """Newton from the inflection point on whole arrays, until no row moves any more."""
    sign, target = np.where(is_call, 1.0, -1.0), price / df
    s = np.sqrt(2.0 * np.abs(np.log(forward / strike))) + 1e-3
    for _ in range(60):
        d1 = np.log(forward / strike) / s + 0.5 * s
        slope = forward * np.exp(-0.5 * d1 * d1) / np.sqrt(2.0 * np.pi)
        step = (twin_price(forward, strike, s, sign) - target) / np.maximum(slope, 1e-300)
        s = np.maximum(s - np.clip(step, -0.5 * s, s), 1e-8)
        if np.all(np.abs(step) < 1e-13 * s):
            break
    return s / np.sqrt(tte)


def brentq_implied_vol(price, forward, strike, tte, df, is_call):
    sign = np.where(is_call, 1.0, -1.0)
    rows = zip(price / df, forward, strike, sign, strict=True)
    s = [
        brentq(lambda s, p, f, k, c: twin_price(f, k, s, c) - p, 1e-6, 20.0, r)
        for r in ((p, f, k, c) for p, f, k, c in rows)
    ]
    return np.array(s) / np.sqrt(tte)


def quantlib_implied_vol(price, forward, strike, tte, df, is_call):
    import QuantLib as ql

    side = np.where(is_call, ql.Option.Call, ql.Option.Put).tolist()
    rows = zip(side, *(x.tolist() for x in (strike, forward, price, df)), strict=True)
    found = []
    for kind, k, f, p, d in rows:
        try:
            found.append(ql.blackFormulaImpliedStdDev(kind, k, f, p, d, 0.0, 0.2, 1e-12, 200))
        except RuntimeError:
            found.append(np.nan)
    return np.array(found) / np.sqrt(tte)


def pyfeng_implied_vol(price, forward, strike, tte, df, is_call):
    import pyfeng

    model = pyfeng.Bsm(0.2, is_fwd=True)
    return model.impvol(price / df, strike, forward, tte, cp=np.where(is_call, 1, -1))


def option_pricers_implied_vol(price, forward, strike, tte, df, is_call):
    from vanilla_option_pricers.black_scholes import infer_bsm_implied_vol as one

    sides = np.where(is_call, "C", "P").tolist()
    rows = zip(*(x.tolist() for x in (forward, tte, strike, price, df)), sides, strict=True)
    found = [one(*row, vol_lower=1e-4, vol_upper=10.0) for row in rows]
    return np.array(found)


def worth(found, option) -> str:
    """State the error of implied volatilities in units of the inevitable one."""
    forward, strike, tte, vol, _, is_call = option
    s = vol * np.sqrt(tte)
    price = undiscounted_price(forward, strike, s * s, is_call)
    d1 = np.log(forward / strike) / s + 0.5 * s
    vega = forward * np.sqrt(tte) * np.exp(-0.5 * d1 * d1) / np.sqrt(2.0 * np.pi)
    error = np.abs(found - vol) / (2.0**-52 * price / vega + 1e-15 * vol)
    lost = np.isnan(found) | (error > 1e6)
    worst = np.max(error[~lost], initial=0.0)
    return f"worst error {worst:.3g} inevitable ones, {lost.sum()} rows lost"


def bench_inverse(title, option, most):
    forward, strike, tte, vol, df, is_call = option
    price = df * undiscounted_price(forward, strike, vol * vol * tte, is_call)
    row = (price, forward, strike, tte, df, is_call)
    methods = {
        "volsurf": (lambda *a: implied_vol(*a)[0], price.size),
        "NumPy, Newton on arrays": (twin_implied_vol, 20 * FEW),
        "SciPy, brentq row by row": (brentq_implied_vol, FEW),
    }
    if find_spec("pyfeng"):
        methods["pyfeng, on arrays"] = (pyfeng_implied_vol, 20 * FEW)
    if find_spec("vanilla_option_pricers"):
        methods["vanilla_option_pricers"] = (option_pricers_implied_vol, 20 * FEW)
    if find_spec("QuantLib"):
        methods["QuantLib, row by row"] = (quantlib_implied_vol, 4 * FEW)
    ways = {}
    for name, (method, n) in methods.items():
        some = [column[:n] for column in row]
        note = worth(method(*some), [column[:n] for column in option])
        ways[name] = (lambda method=method, some=some: method(*some), some[0].size, note)
    ratios = {("QuantLib",): 30.0, ("pyfeng", "vanilla_option_pricers"): 5.0}
    return report(title, ways, goal=Goal(most=most, ratios=ratios))


def speed_table():
    rng = np.random.default_rng(20261120)
    option = realistic(rng, 1_000_000)
    forward, strike, tte, vol, _, is_call = option
    sign = np.where(is_call, 1.0, -1.0)
    w = vol * vol * tte
    n = forward.size
    ours = black_greeks(*option)
    gap = max(
        np.max(np.abs(a - b) / (1.0 + np.abs(b)))
        for a, b in zip(ours, twin_greeks(*option), strict=True)
    )
    report(
        "Black price",
        {
            "volsurf": (lambda: undiscounted_price(forward, strike, w, is_call), n, ""),
            "NumPy": (lambda: twin_price(forward, strike, np.sqrt(w), sign), n, ""),
        },
    )
    yield bench_inverse("implied volatility, realistic", option, 120.0)
    yield bench_inverse("implied volatility, hard grid", hard(rng, 1_000_000), 250.0)
    ways = {
        "volsurf": (lambda: black_greeks(*option), n, f"largest difference {gap:.1e}"),
        "NumPy": (lambda: twin_greeks(*option), n, ""),
    }
    if find_spec("QuantLib"):
        few = [column[: 4 * FEW] for column in option]
        ways["QuantLib, row by row"] = (lambda: quantlib_greeks(*few), 4 * FEW, "")
    yield report("price and seven greeks", ways, goal=Goal(most=40.0))


def main() -> None:
    print(machine())
    list(speed_table())


if __name__ == "__main__":
    main()
