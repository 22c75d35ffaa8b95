"""Raw SVI slices: `python benchmarks/bench_svi.py`.

Ours, with arbitrage guard, error bars and delta volatilities, beside SciPy's trust region with an
analytic Jacobian from a good start, the textbook SLSQP recipe (scalar objective in total variance,
bounds, min w >= 0) and, where it is installed, QuantLib. Quotes are random slices free of butterfly
arbitrage with noise inside a bid-ask spread. Beside each time: the share of slices whose weighted
cost is within 2 % of the best known, and the slices with butterfly arbitrage somewhere on the line.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares, minimize
from side_by_side import Goal, machine, report

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "math"))
from random_smiles import random_market

from volsurf_math.smiles.svi import Loss, RawSvi
from volsurf_math.smiles.svi_slices import fit_slices

N_SLICES, FEW = 1_000, 12  # slices of ours, and of a method that takes milliseconds for one


def slices(market, n):
    """(k, w, weight, tte) of the first `n` slices."""
    for i in range(n):
        rows = slice(*market.offsets[i : i + 2])
        yield market.k[rows], market.w[rows], market.weight[rows], market.tte[i]


def model(p, k):
    a, b, rho, m, sigma = p
    return a + b * (rho * (k - m) + np.hypot(k - m, sigma))


def trust_region(k, w, weight, _):
    root, width = np.sqrt(weight), np.ptp(k)

    def jacobian(p):
        _, b, rho, m, sigma = p
        x, z = k - m, np.hypot(k - m, sigma)
        columns = (np.ones_like(k), rho * x + z, b * x, -b * (rho + x / z), b * sigma / z)
        return root[:, None] * np.column_stack(columns)

    low = (-np.inf, 1e-9, -0.9995, k.min() - width, 2e-3 * width)
    high = (np.inf, np.inf, 0.9995, k.max() + width, max(width, 1.0))
    start = (0.5 * w.min(), 0.5 * np.ptp(w) / width, -0.3, k[w.argmin()], 0.2 * width)
    return least_squares(
        lambda p: root * (model(p, k) - w), start, jacobian, (low, high), x_scale="jac"
    ).x


def textbook_slsqp(k, w, _, __):
    start = (w.mean(), 0.1, 0.0, 0.0, 0.1)
    bounds = ((-1.0, 1.0), (0.0, 2.0), (-0.999, 0.999), (-2.0, 2.0), (1e-4, 2.0))
    positive = {
        "type": "ineq",
        "fun": lambda p: p[0] + p[1] * p[4] * np.sqrt(1.0 - p[2] ** 2),
    }
    return minimize(
        lambda p: np.sum((model(p, k) - w) ** 2), start, method="SLSQP", bounds=bounds,
        constraints=positive,
    ).x  # fmt: skip


def quantlib(k, w, _, tte):
    import QuantLib as ql

    day = ql.Date(2, 1, 2026)
    ql.Settings.instance().evaluationDate = day
    expiry = day + max(1, round(365 * tte))
    years = ql.Actual365Fixed().yearFraction(day, expiry)
    forward = ql.SimpleQuote(100.0)
    vols = [ql.QuoteHandle(ql.SimpleQuote(float(v))) for v in np.sqrt(w / years)]
    strikes = [float(x) for x in 100.0 * np.exp(k)]
    section = ql.SviInterpolatedSmileSection(
        expiry, ql.QuoteHandle(forward), strikes, False,
        ql.QuoteHandle(ql.SimpleQuote(0.2)), vols, float(w.mean()), 0.1, 0.1, -0.3, 0.0,
        False, False, False, False, False,
    )  # fmt: skip
    section.volatility(100.0)  # lazy: nothing is fitted before it is asked
    return section.a(), section.b(), section.rho(), section.m(), section.sigma()


def cost(p, quotes):
    k, w, weight, _ = quotes
    return float(weight @ (model(p, k) - w) ** 2)


def worth(parameters, quotes, best):
    """Share near the best known optimum, and how many have arbitrage."""
    costs = np.array([cost(p, q) for p, q in zip(parameters, quotes, strict=True)])
    n_broken = 0
    for a, b, rho, m, sigma in parameters:
        smile = RawSvi(a=a, b=max(b, 0.0), rho=np.clip(rho, -0.9999, 0.9999), m=m, sigma=abs(sigma))
        n_broken += not smile.is_butterfly_free
    near = np.mean(costs <= 1.02 * best[: len(costs)])
    return f"{100 * near:5.1f} % at the optimum, {n_broken} of {len(costs)} with arbitrage"


def speed_table():
    market = random_market(N_SLICES, seed=1)
    columns = (market.k, market.w, market.weight, market.offsets)
    quotes = list(slices(market, N_SLICES))
    free = fit_slices(*columns, is_guarded=False)
    peers = {"scipy TRF, analytic Jacobian": trust_region, "scipy SLSQP, textbook": textbook_slsqp}
    if find_spec("QuantLib"):
        peers["QuantLib SviInterpolatedSmile"] = quantlib
    found = {name: [fit(*q) for q in quotes[:FEW]] for name, fit in peers.items()}
    best = free.cost.copy()
    for parameters in found.values():
        best[:FEW] = np.minimum(
            best[:FEW], [cost(p, q) for p, q in zip(parameters, quotes[:FEW], strict=True)]
        )

    def ours(loss):
        fits = fit_slices(*columns, loss=loss)
        fits.quantities(market.tte)
        return fits

    ways = {
        "ours, batch": (
            lambda: ours(Loss.LINEAR),
            N_SLICES,
            worth(ours(Loss.LINEAR).parameters, quotes, best),
        ),
        "ours, batch, soft-L1": (
            lambda: ours(Loss.SOFT_L1),
            N_SLICES,
            worth(ours(Loss.SOFT_L1).parameters, quotes, best) + " (of another loss)",
        ),
        "ours, one call per slice": (
            lambda: [RawSvi.fit(*q[:3]) for q in quotes[:100]],
            100,
            "the same fits",
        ),
    }
    for name, fit in peers.items():
        ways[name] = (
            lambda fit=fit: [fit(*q) for q in quotes[:FEW]],
            FEW,
            worth(found[name], quotes[:FEW], best),
        )
    found = report(
        "SVI slices, guard and diagnostics",
        ways,
        unit="us",
        goal=Goal(most=60.0, ratios={("QuantLib",): 500.0, ("scipy SLSQP",): 150.0}),
    )
    yield found.seen_from("ours, batch", f"SVI slices, 15 to 150 strikes, arrays of {N_SLICES}")
    yield found.seen_from("ours, one call per slice", "SVI slice, 15 to 150 strikes, one call")


def main():
    print(machine())
    list(speed_table())


if __name__ == "__main__":
    main()
