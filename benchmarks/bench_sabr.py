"""SABR smiles of 45 strikes: `python benchmarks/bench_sabr.py`.

Ours beside SciPy's Levenberg-Marquardt on the same formula in NumPy and, where it is installed,
QuantLib. What a result is worth: smiles whose own sum of squares is more than 2 % above the best.
"""

from importlib.util import find_spec

import numpy as np
from scipy.optimize import least_squares
from side_by_side import Goal, machine, report

from volsurf_math.smiles.sabr import Sabr, SabrSmile
from volsurf_math.smiles.sabr_density import sabr_density
from volsurf_math.smiles.sabr_slices import fit_slices

N_STRIKES = 45
FEW = 12  # smiles of a method that takes milliseconds each
BETA = 0.5
ALONE, TOGETHER = "volsurf, one call per smile", "volsurf, one call for all"


def smiles(rng, n):
    """Noisy smiles on forward 100: log-moneyness, volatility and time of each."""
    out = []
    for _ in range(n):
        tte = rng.uniform(0.05, 2.0)
        truth = Sabr(
            alpha=10.0 * rng.uniform(0.1, 0.5),
            beta=BETA,
            rho=rng.uniform(-0.9, 0.4),
            nu=np.exp(rng.uniform(np.log(0.3), np.log(1.5))),
        )
        k = np.linspace(-2.5, 1.5, N_STRIKES) * 0.25 * np.sqrt(tte)
        vol = truth.implied_vol(100.0 * np.exp(k), 100.0, tte)
        out.append((k, vol + 0.002 * rng.uniform(-1.0, 1.0, N_STRIKES), tte))
    return out


def twin_vol(k, tte, alpha, rho, nu):
    """Return Hagan's formula on forward 100 in plain NumPy."""
    u = 1.0 - BETA
    mid = 100.0**u * np.exp(0.5 * u * k)
    square = (u * k) ** 2
    z = -nu / alpha * mid * k
    z = np.where(np.abs(z) < 1e-7, 1e-7, z)
    x = np.log((np.sqrt(1.0 - 2.0 * rho * z + z * z) + z - rho) / (1.0 - rho))
    time = (u * alpha / mid) ** 2 / 24.0 + rho * BETA * nu * alpha / (4.0 * mid)
    time += (2.0 - 3.0 * rho**2) / 24.0 * nu**2
    level = alpha / (mid * (1.0 + square / 24.0 + square**2 / 1920.0))
    return level * z / x * (1.0 + time * tte)


def scipy_fit(k, vol, tte):
    def residual(p):
        rho = p[1] / np.hypot(1.0, p[1])
        return twin_vol(k, tte, np.exp(p[0]), rho, np.exp(p[2])) - vol

    start = (np.log(10.0 * vol[np.argmin(np.abs(k))]), -0.3, 0.0)
    found = least_squares(residual, start, method="lm", xtol=1e-10, ftol=1e-10)
    return 2.0 * found.cost


def quantlib_fit(k, vol, tte):
    """Parameters by QuantLib's own Levenberg-Marquardt, from a good start."""
    import QuantLib as ql

    strike = (100.0 * np.exp(k)).tolist()
    start = (10.0 * float(np.interp(0.0, k, vol)), BETA, 0.7, -0.3)
    found = ql.SABRInterpolation(
        strike, vol.tolist(), float(tte), 100.0, *start, False, True, False, False, False
    )
    return Sabr(alpha=found.alpha(), beta=BETA, rho=found.rho(), nu=found.nu())


def pysabr_fit(k, vol, tte):
    from pysabr import Hagan2002LognormalSABR

    model = Hagan2002LognormalSABR(100.0, 0.0, tte, beta=BETA)
    alpha, rho, nu = model.fit(100.0 * np.exp(k), 100.0 * vol, [2.5, -0.3, 0.7])
    return Sabr(alpha=alpha, beta=BETA, rho=rho, nu=nu)


def worth(costs, best) -> str:
    worse = sum(c > 1.02 * b for c, b in zip(costs, best, strict=False))
    return f"{worse} of {len(costs)} above the best"


def speed_table():
    market = smiles(np.random.default_rng(20261120), 400)
    weights = [1.0 / (4.0 * v * v * t * t) for _, v, t in market]

    def ours(n):
        return [
            SabrSmile.fit(k, v * v * t, o, beta=BETA, forward=100.0, tte=t)
            for (k, v, t), o in zip(market[:n], weights, strict=False)
        ]

    k, w, weight = (
        np.concatenate(x)
        for x in (
            [k for k, _, _ in market],
            [v * v * t for _, v, t in market],
            weights,
        )
    )
    offsets = np.arange(len(market) + 1) * N_STRIKES
    tte = np.array([t for _, _, t in market])
    forward = np.full(tte.size, 100.0)

    def cost(sabr, row):
        k, vol, tte = row
        return float(np.sum((sabr.implied_vol(100.0 * np.exp(k), 100.0, tte) - vol) ** 2))

    own = [cost(fit.smile.sabr, row) for fit, row in zip(ours(len(market)), market, strict=True)]
    scipy_costs = [scipy_fit(*row) for row in market[:FEW]]
    best = [min(x) for x in zip(own[:FEW], scipy_costs, strict=True)] + own[FEW:]
    ways = {
        ALONE: (lambda: ours(len(market)), len(market), worth(own, best)),
        TOGETHER: (
            lambda: fit_slices(k, w, weight, offsets, forward, tte, beta=BETA), len(market),
            "the same fits",
        ),
        "SciPy, lm": (
            lambda: [scipy_fit(*row) for row in market[:FEW]], FEW, worth(scipy_costs, best),
        ),
    }  # fmt: skip
    peers = {"QuantLib": quantlib_fit, "pysabr": pysabr_fit}
    for name, fit in peers.items():
        if find_spec(name):
            costs = [cost(fit(*row), row) for row in market[:FEW]]
            ways[name] = (
                lambda fit=fit: [fit(*row) for row in market[:FEW]], FEW, worth(costs, best),
            )  # fmt: skip
    found = report(
        f"SABR smile, {N_STRIKES} strikes",
        ways,
        unit="us",
        goal=Goal(most=60.0, ratios={("QuantLib",): 15.0, ("pysabr",): 15.0}),
    )
    yield found.seen_from(TOGETHER, f"SABR smiles, {N_STRIKES} strikes, arrays of {len(market)}")
    yield found.seen_from(ALONE, f"SABR smile, {N_STRIKES} strikes, one call")


def main() -> None:
    print(machine())
    list(speed_table())
    model = Sabr(alpha=2.5, beta=BETA, rho=-0.3, nu=0.4)
    fine = sabr_density(model, 100.0, 1.0, n_cells=4000, n_steps=1000)
    error = abs(sabr_density(model, 100.0, 1.0).implied_vol(90.0) / fine.implied_vol(90.0) - 1.0)
    report(
        "arbitrage-free SABR density, 500 cells, 120 steps",
        {"volsurf": (lambda: sabr_density(model, 100.0, 1.0), 1, f"{error:.0e} of a volatility")},
        unit="ms",
    )


if __name__ == "__main__":
    main()
