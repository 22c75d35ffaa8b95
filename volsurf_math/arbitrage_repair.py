r"""The smallest change of quotes that removes their static arbitrage, by linear programming.

Prices are first made comparable: undiscounted, over the forward, puts turned into the calls of the
same strike by parity, so that :math:`c(x)` at moneyness :math:`x = K/F` is a call on a martingale
of mean 1 and :math:`c(0) = 1`. Quotes of one side of one expiry form a curve. There is no static
arbitrage if

* each curve is convex through :math:`(0, 1)`, starts no steeper than -1, does not rise, and is
  nowhere negative;
* a quote of an earlier expiry does not exceed the chord of a later curve, nor fall a later quote
  below the extrapolated chords of an earlier curve.

The programme minimises :math:`\sum_i \max(\delta\,|e_i|/h_i,\ |e_i|/h_i - 1 + \delta)` in the
moves :math:`e_i`, where :math:`h_i` is the half-spread: moves inside the spread are cheap, and few
quotes move at all because the cost is an absolute value. Conditions between expiries are added for
neighbours first and for other pairs where the solution breaks them.

Belongs here: repair of raw quotes. The tests are `arbitrage`; fits are repaired by
`smiles.svi_guard`.

References
----------
.. [1] Cohen, Reisinger, Wang (2020), "Detecting and repairing arbitrage in traded option prices",
   Applied Mathematical Finance 27, arXiv:2008.09454.
"""

from dataclasses import dataclass
from enum import IntEnum
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog
from scipy.sparse import csr_array, hstack

from volsurf_math.smiles.base import FloatArray, IntArray

BoolArray = npt.NDArray[np.bool_]
INSIDE_COST = 0.1  # of a move to the edge of the spread; one half-spread further costs 1
MARGIN = 1e-7  # of the typical half-spread, asked of every condition; the solver's is 1e-10
LEAST_HALF_SPREAD = 1e-3  # of the typical one
LEAST_UNIT = 1e-6  # of the forward, where spreads are zero
MAX_ROUNDS = 6


class RepairStatus(IntEnum):
    """What became of a quote. Stored in the lake, so never renumber."""

    UNCHANGED = 0
    MOVED_INSIDE_SPREAD = 1
    MOVED_OUTSIDE_SPREAD = 2
    UNUSABLE = 3  # no finite, ordered, non-negative bid and ask, strike, forward or discount factor
    NOT_SOLVED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairedQuotes:
    """Repaired prices; shapes (n_quotes,), NaN where the quote is unusable."""

    price: FloatArray  # of a quote that was not moved: its mid
    move: FloatArray  # price minus mid
    status: IntArray  # RepairStatus
    cost: float  # of the moves, in half-spreads; 0 where nothing had to move
    n_conditions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """Conditions sum_j value[i, j] c[column[i, j]] + constant[i] >= 0; shapes (n, 3) and (n,)."""

    column: IntArray
    value: FloatArray
    constant: FloatArray

    def room(self, c: FloatArray) -> FloatArray:
        return np.sum(self.value * c[self.column], axis=1) + self.constant

    def __getitem__(self, which: BoolArray) -> "_Rows":
        return _Rows(
            column=self.column[which], value=self.value[which], constant=self.constant[which]
        )


def repair_quotes(
    strike: FloatArray,
    bid: FloatArray,
    ask: FloatArray,
    *,
    is_call: BoolArray,
    group: IntArray,
    forward: FloatArray,
    discount_factor: FloatArray | float = 1.0,
) -> RepairedQuotes:
    """Return prices without static arbitrage as near to the mids as linear cost allows.

    Parameters
    ----------
    strike, bid, ask : array, shape (n_quotes,)
        In any order, dollars. European quotes: American ones must be de-Americanised.
    is_call, group : array, shape (n_quotes,)
        Side, and a number rising in order of expiry. Calls and puts are repaired apart.
    forward, discount_factor : array, shape (n_quotes,), or float
        Of each quote's expiry.

    Notes
    -----
    Prices that already meet every condition come back as they are. Where something must move,
    every condition is asked to hold by a margin of 1e-7 half-spreads, so that it holds in any
    arithmetic: ties among the other quotes are broken by about as much.
    """
    forward = np.broadcast_to(np.asarray(forward, dtype=np.float64), strike.shape)
    discount = np.broadcast_to(np.asarray(discount_factor, dtype=np.float64), strike.shape)
    is_known = (strike > 0.0) & (forward > 0.0) & (discount > 0.0)
    is_known &= np.isfinite(strike) & np.isfinite(forward) & np.isfinite(discount)
    rows = np.flatnonzero(is_known & (bid >= 0.0) & (ask >= bid) & (ask > 0.0) & np.isfinite(ask))
    unit = (discount * forward)[rows]
    mid = 0.5 * (bid[rows] + ask[rows])
    x, call = (strike / np.where(is_known, forward, np.nan))[rows], is_call[rows]
    c = mid / unit + np.where(call, 0.0, 1.0 - x)
    half = 0.5 * (ask[rows] - bid[rows]) / unit
    side = 2 * np.unique(group[rows], return_inverse=True)[1] + call
    chosen, chosen_of = _one_per_strike(x, half, side)
    moved, cost, n_conditions = _solve(x[chosen], c[chosen], half[chosen], side[chosen])
    price, shift = np.full((2, *strike.shape), np.nan)
    status = np.full(strike.shape, RepairStatus.UNUSABLE)
    if moved is None:
        status[rows] = RepairStatus.NOT_SOLVED
    else:
        move = moved[chosen_of] + (c[chosen][chosen_of] - c)
        price[rows] = np.where(move != 0.0, np.maximum(mid + move * unit, 0.0), mid)
        shift[rows] = price[rows] - mid
        status[rows] = np.select(
            [move == 0.0, np.abs(move) <= half * (1.0 + 1e-9)],
            [RepairStatus.UNCHANGED, RepairStatus.MOVED_INSIDE_SPREAD],
            RepairStatus.MOVED_OUTSIDE_SPREAD,
        )
    return RepairedQuotes(
        price=price,
        move=shift,
        status=status.astype(np.int64),
        cost=cost,
        n_conditions=n_conditions,
    )


def _one_per_strike(x: FloatArray, half: FloatArray, side: IntArray) -> tuple[IntArray, IntArray]:
    """Return the quote of narrowest spread at each strike, and for each quote which one it is."""
    order = np.lexsort((half, x, side))
    is_new = np.ones(order.size, dtype=bool)
    is_new[1:] = (np.diff(x[order]) != 0.0) | (np.diff(side[order]) != 0)
    chosen_of = np.empty(order.size, dtype=np.int64)
    chosen_of[order] = np.cumsum(is_new) - 1
    return order[is_new], chosen_of


def _solve(
    x: FloatArray, c: FloatArray, half: FloatArray, side: IntArray
) -> tuple[FloatArray | None, float, int]:
    """Moves of the normalised prices `c` (None if the solver fails), their cost, conditions."""
    curves = {int(s): np.flatnonzero(side == s) for s in np.unique(side)}  # by rising x
    scale = max(float(np.median(half)) if half.size else 0.0, LEAST_UNIT)
    blocks = [_curve_rows(rows, x) for rows in curves.values()]
    pairs = [(a, b) for a, b in combinations(sorted(curves), 2) if (b - a) % 2 == 0]
    between = {(a, b): _calendar_rows(curves[a], curves[b], x) for a, b in pairs}
    blocks += [between.pop((a, b)) for a, b in pairs if not _skips(a, b, curves)]
    is_broken = any((rows.room(c) < 0.0).any() for rows in (*blocks, *between.values()))
    if not is_broken:
        return np.zeros(c.size), 0.0, sum(rows.constant.size for rows in blocks)
    for _ in range(MAX_ROUNDS):
        move, cost = _programme(blocks, c, half, scale)
        if move is None:
            break
        broken = [rows[rows.room(c + move) < 0.5 * MARGIN * scale] for rows in between.values()]
        broken = [rows for rows in broken if rows.constant.size]
        if not broken:
            break
        blocks += broken
    return move, cost, sum(rows.constant.size for rows in blocks)


def _skips(a: int, b: int, curves: dict[int, IntArray]) -> bool:
    """Whether a curve of the same side stands between a and b."""
    return any(between in curves for between in range(a + 2, b, 2))


def _curve_rows(rows: IntArray, x: FloatArray) -> _Rows:
    """Conditions within one curve, `rows` by rising x."""
    at, i = x[rows], np.arange(rows.size)
    column, value, constant = [], [], []

    def add(columns: list[IntArray], values: list[FloatArray | float], add_on: FloatArray | float):
        n = columns[0].size
        column.append(np.column_stack([rows[np.maximum(c, 0)] for c in columns]))
        value.append(np.column_stack([np.broadcast_to(v, n) for v in values]))
        constant.append(np.broadcast_to(add_on, n))

    # convexity at i between j = i - 1 (or the point (0, 1)) and i + 1
    middle = i[:-1]
    left = np.where(middle > 0, at[np.maximum(middle - 1, 0)], 0.0)
    gap = at[1:] - left
    share = np.divide(at[1:] - at[:-1], gap, out=np.full(gap.shape, 0.5), where=gap > 0.0)
    add(
        [middle - 1, middle, middle + 1],
        [np.where(middle > 0, share, 0.0), -1.0, 1.0 - share],
        np.where(middle > 0, 0.0, share),
    )
    first, last = i[:1], i[-1:]
    add([first, first, first], [1.0, 0.0, 0.0], at[:1] - 1.0)  # not below intrinsic value
    add([last - 1, last, last], [1.0 if i.size > 1 else 0.0, -1.0, 0.0], 0.0 if i.size > 1 else 1.0)
    add([last, last, last], [1.0, 0.0, 0.0], 0.0)
    return _Rows(
        column=np.concatenate(column),
        value=np.concatenate(value),
        constant=np.concatenate(constant),
    )


def _calendar_rows(near: IntArray, far: IntArray, x: FloatArray) -> _Rows:
    """Conditions between an earlier and a later curve, both by rising x."""
    parts = [_below_chord(near, far, x)]
    parts += [_above_extrapolation(near, far, x, side) for side in (-1, 1)]
    return _Rows(
        column=np.concatenate([part.column for part in parts]),
        value=np.concatenate([part.value for part in parts]),
        constant=np.concatenate([part.constant for part in parts]),
    )


def _below_chord(near: IntArray, far: IntArray, x: FloatArray) -> _Rows:
    """Each near price is at most the far chord there: (0, 1) on its left, level on its right."""
    at, grid = x[near], x[far]
    right = np.searchsorted(grid, at)
    left = right - 1
    is_first, is_last = left < 0, right >= far.size
    lower, upper = np.maximum(left, 0), np.minimum(right, far.size - 1)
    start = np.where(is_first, 0.0, grid[lower])
    gap = np.where(is_last, 1.0, grid[upper] - start)
    share = np.where(is_last, 0.0, (at - start) / gap)
    return _Rows(
        column=np.column_stack((near, far[lower], far[upper])),
        value=np.column_stack((-np.ones(at.size), np.where(is_first, 0.0, 1.0 - share), share)),
        constant=np.where(is_first, 1.0 - share, 0.0),
    )


def _above_extrapolation(near: IntArray, far: IntArray, x: FloatArray, side: int) -> _Rows:
    """Each far price is at least what the near chord on its left (-1) or right (1) extrapolates to.

    Left of the lowest near strike stands (0, 1); right of the highest the curve does not rise.
    """
    grid, n = x[near], near.size
    closer = np.searchsorted(grid, x[far], side="right") - 1 if side < 0 else None
    i = np.searchsorted(grid, x[far]) if closer is None else closer
    is_there = (i >= 0) & (i < n)
    f, i = far[is_there], i[is_there]
    j = i + side
    is_origin, is_level = j < 0, j >= n
    j = np.clip(j, 0, n - 1)
    gap = np.where(is_level, 1.0, grid[i] - np.where(is_origin, 0.0, grid[j]))
    reach = np.where(is_level, 0.0, (x[f] - grid[i]) / gap)
    return _Rows(
        column=np.column_stack((f, near[i], near[j])),
        value=np.column_stack((np.ones(f.size), -1.0 - reach, np.where(is_origin, 0.0, reach))),
        constant=np.where(is_origin, reach, 0.0),
    )


def _programme(
    blocks: list[_Rows], c: FloatArray, half: FloatArray, scale: float
) -> tuple[FloatArray | None, float]:
    """Cheapest moves that meet the conditions with a margin, and their cost in half-spreads.

    Moves are counted in units of `scale`, the typical half-spread, and split into four parts: up
    and down, within the spread and beyond.
    """
    n = c.size
    column, value = (np.concatenate([getattr(r, f) for r in blocks]) for f in ("column", "value"))
    room = np.concatenate([rows.room(c) for rows in blocks]) / scale
    where = np.repeat(np.arange(room.size), 3)
    matrix = csr_array((value.ravel(), (where, column.ravel())), shape=(room.size, n))
    edge = np.maximum(half / scale, LEAST_HALF_SPREAD)
    bounds = np.column_stack(
        (np.zeros(4 * n), np.concatenate((edge, edge, np.full(2 * n, np.inf))))
    )
    found = linprog(
        np.concatenate((INSIDE_COST / edge, INSIDE_COST / edge, 1.0 / edge, 1.0 / edge)),
        A_ub=hstack([-matrix, matrix, -matrix, matrix], format="csr"),
        b_ub=room - MARGIN,
        bounds=bounds,
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10},
    )
    if found.x is None or found.status != 0:
        return None, float("nan")
    up_inside, down_inside, up, down = found.x.reshape(4, n)
    move = up_inside - down_inside + up - down
    return scale * np.where(np.abs(move) > 1e-9, move, 0.0), float(found.fun)
