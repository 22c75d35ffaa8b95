"""Repair of 500 quotes by linear programme: `python benchmarks/bench_repair.py`.

Ours beside the published method written down as it stands: every pair of expiries, and conditions
as a dense matrix, in SciPy's same solver. Goal: 250 ms.
"""

import numpy as np
from scipy.optimize import linprog
from side_by_side import Goal, machine, report

from volsurf_math.arbitrage_repair import INSIDE_COST, repair_quotes
from volsurf_math.black import undiscounted_price

N_EXPIRIES = 12
N_QUOTES = 42


def chain(rng):
    """Call quotes of a skewed surface, mids up to one half-spread off, on forward 100."""
    tte = np.repeat(np.geomspace(0.03, 2.0, N_EXPIRIES), N_QUOTES)
    k = np.tile(np.linspace(-2.5, 1.8, N_QUOTES), N_EXPIRIES) * 0.2 * np.sqrt(tte)
    w = tte * (0.2 - 0.08 * k / np.sqrt(tte) + 0.05 * k**2 / tte) ** 2
    strike = 100.0 * np.exp(k)
    price = undiscounted_price(100.0, strike, w, True)
    half = 0.01 + 0.005 * price
    mid = np.maximum(price + half * rng.uniform(-1.0, 1.0, price.size), half)
    group = np.repeat(np.arange(N_EXPIRIES), N_QUOTES)
    return strike, mid - half, mid + half, group


def ours(strike, bid, ask, group):
    is_call = np.ones(strike.size, dtype=bool)
    return repair_quotes(strike, bid, ask, is_call=is_call, group=group, forward=100.0)


def dense(strike, bid, ask, group):
    """Cost of the same programme, over all pairs of expiries and with a dense matrix."""
    x, c, half = strike / 100.0, 0.5 * (bid + ask) / 100.0, 0.5 * (ask - bid) / 100.0
    n = x.size
    rows, right = [], []  # rows @ (c + move) + right >= 0

    def add(parts, constant):
        row = np.zeros(n)
        for i, value in parts:
            row[i] += value
        rows.append(row)
        right.append(constant)

    curves = [np.flatnonzero(group == g) for g in range(N_EXPIRIES)]
    for curve in curves:
        add([(curve[0], 1.0)], x[curve[0]] - 1.0)
        add([(curve[-1], 1.0)], 0.0)
        add([(curve[-2], 1.0), (curve[-1], -1.0)], 0.0)
        first = x[curve[0]] / x[curve[1]]
        add([(curve[0], -1.0), (curve[1], first)], 1.0 - first)
        for a, b, d in zip(curve[:-2], curve[1:-1], curve[2:], strict=True):
            share = (x[d] - x[b]) / (x[d] - x[a])
            add([(a, share), (b, -1.0), (d, 1.0 - share)], 0.0)
    for i, near in enumerate(curves):
        for far in curves[i + 1 :]:
            for q in near:
                j = np.searchsorted(x[far], x[q])
                if 0 < j < far.size:
                    a, b = far[j - 1], far[j]
                    share = (x[b] - x[q]) / (x[b] - x[a])
                    add([(q, -1.0), (a, share), (b, 1.0 - share)], 0.0)
            for q in far:
                j = np.searchsorted(x[near], x[q])
                for closer, other in ((j - 1, j - 2), (j, j + 1)):
                    if 0 <= closer < near.size and 0 <= other < near.size:
                        a, b = near[closer], near[other]
                        reach = (x[q] - x[a]) / (x[a] - x[b])
                        add([(q, 1.0), (a, -1.0 - reach), (b, reach)], 0.0)
    scale = float(np.median(half))
    matrix, edge = np.array(rows), half / scale
    room = (matrix @ c + np.array(right)) / scale
    found = linprog(
        np.concatenate((INSIDE_COST / edge, INSIDE_COST / edge, 1.0 / edge, 1.0 / edge)),
        A_ub=np.hstack([-matrix, matrix, -matrix, matrix]),
        b_ub=room,
        bounds=[(0.0, e) for e in (*edge, *edge)] + [(0.0, None)] * (2 * n),
        method="highs",
    )
    return found.fun


def speed_table():
    quotes = chain(np.random.default_rng(20261120))
    repaired = ours(*quotes)
    moved = int(np.sum(repaired.status > 0))
    yield report(
        f"repair of {quotes[0].size} quotes in {N_EXPIRIES} expiries",
        {
            "volsurf": (
                lambda: ours(*quotes), 1,
                f"cost {repaired.cost:.4f}, {moved} moved, {repaired.n_conditions} conditions",
            ),
            "SciPy, dense, all pairs": (lambda: dense(*quotes), 1, f"cost {dense(*quotes):.4f}"),
        },
        unit="ms",
        goal=Goal(most=250.0),
    )  # fmt: skip


def main() -> None:
    print(machine())
    list(speed_table())


if __name__ == "__main__":
    main()
