"""One stored surface, ready to be read: rows out of the lake, slices as the maths takes them.

Belongs here: reading smiles that are at hand. Not here: finding them in the lake
(`finding_surfaces`), other models than raw SVI (`stored_models`), what an answer says (`surface`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from volsurf_app.questions import NotStored, When, Where
from volsurf_math.surfaces.interpolation import PointStatus, Surface, SurfacePoints
from volsurf_resources.provenance import Footer
from volsurf_tables.surface_slices import HAS_CURVE, HAS_SMILE, best_first, surface_slices

TABLE = "fitted_surfaces"
SVI = ("svi_a", "svi_b", "svi_rho", "svi_m", "svi_sigma")
_SLICE = ("root", "expiration_date")
_WORDS = {int(status): status.name.lower() for status in PointStatus}

Array = np.ndarray[Any, np.dtype[np.float64]]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reading:
    """A surface read at one time to expiry: arrays over the places asked for, NaN where unknown.

    `status` holds words; `slices` are the stored rows that the values come from.
    """

    tte: float | None
    forward: float | None
    log_moneyness: Array
    strike: Array
    implied_vol: Array
    std_error: Array
    status: tuple[str, ...]
    reason: tuple[str | None, ...]
    slices: tuple[Row, ...]


@dataclass(frozen=True)
class StoredSurface:
    """All smiles of one symbol, session, snapshot and model, and where they come from.

    `certificate` is the row of `surface_certificates` made from these very smiles, if there is one.
    """

    symbol: str
    day: date
    snapshot: str
    model: str
    rows: pl.DataFrame
    footer: Footer
    certificate: Row | None

    @cached_property
    def slices(self) -> list[Row]:
        """The rows that make the surface, in order of time."""
        return surface_slices(self.rows).rows(named=True)

    @cached_property
    def surface(self) -> Surface | None:
        """The surface through its slices; None where no smile was fitted."""
        return self.surface_of(self.slices) if self.slices else None

    def surface_of(self, slices: Sequence[Row]) -> Surface:
        """Return the surface through some slices, which have rising times."""
        return Surface(parameters=parameters_of(slices, SVI), **frame_of(slices))

    def curve(self, row: Row, k: Array) -> Array:
        """Return the vols of one stored smile at any `k`, also where no quote supports them.

        NaN where it has none, or where there is no smile.
        """
        if row["status"] not in HAS_CURVE:
            return np.full(k.shape, np.nan)
        unbounded = self.surface_of([row | {"k_min": -np.inf, "k_max": np.inf}])
        return unbounded.implied_vol(np.full(k.shape, row["tte_years"]), k=k).implied_vol

    def origin_of(self, row: Row) -> Row:
        """Return all that is stored of the fit behind one of the rows."""
        return row

    def expiry(self, expiry: date, root: str | None = None) -> Row:
        """Return the stored row of a listed expiry; of several roots the surface's choice."""
        found = self._by_expiry.get((expiry, root))
        if found is not None:
            return found
        if root is not None and (expiry, None) in self._by_expiry:
            there = sorted(row["root"] for row in self.all_rows if row[_SLICE[1]] == expiry)
            raise NotStored(f"{self.title} has no root {root!r} at {expiry}; {', '.join(there)}")
        listed = sorted({row["expiration_date"] for row in self.all_rows})
        near = sorted(listed, key=lambda day: abs((day - expiry).days))[:2]
        raise NotStored(
            f"{self.title} has no expiry {expiry}; nearest are {', '.join(map(str, sorted(near)))}"
        )

    @property
    def content_hash(self) -> str:
        """Hash of what the lake holds of the symbol."""
        return self.footer.parts[self.symbol]

    @property
    def absence(self) -> str:
        """Why there is no surface, where there is none."""
        return "no smile was fitted"

    @property
    def title(self) -> str:
        """The surface in words, for messages."""
        return f"the {self.model} surface of {self.symbol} on {self.day}"

    @cached_property
    def all_rows(self) -> list[Row]:
        """Every stored row, without smile too, in order of expiry and root."""
        return self.rows.sort("expiration_date", "root").rows(named=True)

    @cached_property
    def _by_expiry(self) -> dict[tuple[date, str | None], Row]:
        found: dict[tuple[date, str | None], Row] = {}
        for row in best_first(self.rows.sort(~HAS_SMILE, maintain_order=True)).rows(named=True):
            found.setdefault((row["expiration_date"], None), row)
            found[row["expiration_date"], row["root"]] = row
        return found

    def read(self, when: When, where: Where) -> Reading:
        """Read the surface between expiries, or the stored slice itself at a listed expiry."""
        if when.expiry is not None:
            row = self.expiry(when.expiry, when.root)
            if row["status"] in HAS_CURVE:
                return read(self.surface_of([row]), [row], [row["tte_years"]], where)[0]
            why = f"no smile at {when.expiry}: {row['reason'] or row['status']}"
            return _nothing(row["tte_years"], where, "no_smile", why, (row,))
        assert when.tte is not None  # a When has one of the two
        if self.surface is None:
            return _nothing(when.tte, where, "no_smile", self.absence, ())
        return read(self.surface, self.slices, [when.tte], where)[0]

    def read_all(self, times: Sequence[When], where: Where) -> list[Reading]:
        """Read the surface at many times; those between expiries in one go."""
        ttes = [time.tte for time in times if time.tte is not None]
        if self.surface is None or not ttes:
            return [self.read(time, where) for time in times]
        between = iter(read(self.surface, self.slices, ttes, where))
        return [next(between) if t.expiry is None else self.read(t, where) for t in times]


def frame_of(slices: Sequence[Row]) -> dict[str, Array]:
    """Return what every model's surface needs: times, forwards, quoted ranges, errors."""
    names = {
        "tte": "tte_years",
        "forward": "forward",
        "k_min": "k_min",
        "k_max": "k_max",
        "std_error": "atm_vol_std_error",
    }
    return {
        field: np.array([row.get(name) for row in slices], dtype=np.float64)
        for field, name in names.items()
    }


def parameters_of(slices: Sequence[Row], names: Sequence[str]) -> Array:
    """Return columns of some slices, one row a slice."""
    return np.array([[row[name] for name in names] for row in slices], dtype=np.float64)


def read(
    surface: Surface, rows: Sequence[Row], ttes: Sequence[float], where: Where
) -> list[Reading]:
    """Read one surface at some times, all places at each."""
    x, shape = np.array(where.values), (len(ttes), len(where.values))
    at = {"k" if where.axis == "log_moneyness" else where.axis: np.broadcast_to(x, shape)}
    tte = np.broadcast_to(np.array(ttes)[:, None], shape)
    points = surface.implied_vol(tte, **at)
    far = np.searchsorted(surface.tte, ttes).tolist()
    return [_reading(points, i, rows, t, far[i], where) for i, t in enumerate(ttes)]


def _reading(
    points: SurfacePoints, i: int, rows: Sequence[Row], tte: float, far: int, where: Where
) -> Reading:
    """What is known at time `i`; `far` is the slice at or after it."""
    x, k = np.array(where.values), points.k[i]
    is_inside = rows[0]["tte_years"] <= tte <= rows[-1]["tte_years"]
    forward = float(points.forward[i, 0]) if is_inside else np.nan
    if is_inside:
        used = tuple(rows[far if rows[far]["tte_years"] == tte else far - 1 : far + 1])
        low, high = max(r["k_min"] for r in used), min(r["k_max"] for r in used)
        reason = f"quotes reach from {low:.4f} to {high:.4f} in log-moneyness"
    else:
        used = ()
        reason = f"the fitted expiries reach from {_days(rows[0])} to {_days(rows[-1])} days"
    words = tuple(_WORDS[status] for status in points.status[i].tolist())
    if where.axis == "log_moneyness":
        k = x
    elif where.axis == "strike":
        k = np.log(x / forward)
    return Reading(
        tte=tte,
        forward=forward if is_inside else None,
        log_moneyness=k,
        strike=x if where.axis == "strike" else forward * np.exp(k),
        implied_vol=points.implied_vol[i],
        std_error=points.std_error[i],
        status=words,
        reason=tuple(None if word == "supported" else reason for word in words),
        slices=used,
    )


def _days(row: Row) -> str:
    return f"{365.0 * row['tte_years']:.1f}"


def _nothing(
    tte: float | None, where: Where, status: str, reason: str, slices: tuple[Row, ...]
) -> Reading:
    x = np.array(where.values)
    none = np.full(x.size, np.nan)
    return Reading(
        tte=tte,
        forward=None,
        log_moneyness=x if where.axis == "log_moneyness" else none,
        strike=x if where.axis == "strike" else none,
        implied_vol=none,
        std_error=none,
        status=(status,) * x.size,
        reason=(reason,) * x.size,
        slices=slices,
    )
