"""An eSSVI surface of 12 expiries by 40 strikes: `python benchmarks/bench_essvi.py`.

Ours beside SciPy: SLSQP over all 36 parameters under the same conditions, with gradients, from the
same kind of start. Goal: 1 ms.
"""

import numpy as np
from scipy.optimize import minimize
from side_by_side import Goal, machine, report

from volsurf_math.surfaces.essvi import Essvi, fit_essvi
from volsurf_math.surfaces.essvi_fit import N_CONDITIONS, conditions

N_SLICES, N_STRIKES = 12, 40


def market(rng, noise=0.002):
    """Log-moneyness, total variance, weight and time of a surface with noise in volatility."""
    tte = np.sort(np.exp(rng.uniform(np.log(0.02), np.log(2.5), N_SLICES)))
    theta = rng.uniform(0.12, 0.4) ** 2 * tte * (1.0 + 0.2 * np.sqrt(tte))
    rho = -0.75 + rng.uniform(0.0, 0.4) * np.sqrt(tte / 2.5)
    psi = theta * rng.uniform(0.6, 1.1) * theta**-0.45 / (1.0 + theta) ** 0.55
    k = np.sort(rng.uniform(-3.0, 2.0, (N_SLICES, N_STRIKES)), axis=1) * np.sqrt(theta)[:, None]
    truth = Essvi(theta=theta, rho=rho, psi=psi)
    vol = np.sqrt(truth.total_variance(k) / tte[:, None])
    vol += noise * rng.uniform(-1.0, 1.0, k.shape)
    w = vol**2 * tte[:, None]
    return k.ravel(), w.ravel(), (1.0 / (4.0 * w * tte[:, None])).ravel(), truth


def scipy_fit(k, w, weight):
    slices = np.repeat(np.arange(N_SLICES), N_STRIKES)
    theta = np.maximum.accumulate([w[slices == i][np.argmin(np.abs(k[slices == i]))]
                                   for i in range(N_SLICES)])  # fmt: skip
    psi = 0.8 * np.sqrt(theta)
    scale = np.column_stack((theta, 0.6 * psi, 1.4 * psi)).ravel()
    total = np.sum(weight * w * w)

    def cost(y):
        theta, u, v = (y * scale).reshape(-1, 3)[slices].T
        psi, skew = 0.5 * (u + v), 0.5 * (u - v)
        root = np.sqrt(psi**2 * k**2 + 2.0 * skew * k * theta + theta**2)
        miss = 0.5 * (theta + skew * k + root) - w
        by_psi, by_skew = 0.5 * psi * k**2 / root, 0.5 * (k + k * theta / root)
        by = (0.5 * (1.0 + (skew * k + theta) / root), 0.5 * (by_psi + by_skew),
              0.5 * (by_psi - by_skew))  # fmt: skip
        gradient = np.column_stack([np.bincount(slices, 2.0 * weight * miss * b) for b in by])
        factor = 1e3 / total
        return factor * np.sum(weight * miss**2), factor * gradient.ravel() * scale

    def room(y):
        out = np.empty(N_CONDITIONS * N_SLICES)
        conditions(y * scale, out)
        return out

    found = minimize(
        cost, np.ones(scale.size), jac=True, method="SLSQP",
        constraints={"type": "ineq", "fun": room}, options={"maxiter": 200, "ftol": 1e-10},
    )  # fmt: skip
    return found.fun * total / 1e3


def speed_table():
    rng = np.random.default_rng(20261120)
    surfaces = [market(rng) for _ in range(20)]
    offsets = np.arange(N_SLICES + 1) * N_STRIKES
    fits = [fit_essvi(*row[:3], offsets) for row in surfaces]
    ratio = scipy_fit(*surfaces[0][:3]) / fits[0].cost
    misses = [
        np.sqrt(np.mean(weight * (fit.surface.total_variance(k.reshape(N_SLICES, -1)).ravel()
                                  - truth.total_variance(k.reshape(N_SLICES, -1)).ravel()) ** 2))
        for fit, (k, _, weight, truth) in zip(fits, surfaces, strict=True)
    ]  # fmt: skip
    clean = sum(fit.surface.is_arbitrage_free for fit in fits)
    note = f"{1e4 * np.median(misses):.1f} bp to the truth, {clean} of {len(fits)} arbitrage-free"
    yield report(
        f"eSSVI surface {N_SLICES} x {N_STRIKES}",
        {
            "volsurf": (
                lambda: [fit_essvi(*row[:3], offsets) for row in surfaces], len(surfaces), note,
            ),
            "SciPy, SLSQP": (lambda: scipy_fit(*surfaces[0][:3]), 1, f"cost x{ratio:.4f}"),
        },
        unit="ms",
        goal=Goal(most=1.0),
    )  # fmt: skip


def main() -> None:
    print(machine())
    list(speed_table())


if __name__ == "__main__":
    main()
