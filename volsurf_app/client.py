"""The surface service as Python objects: `LocalClient` reads the lake here, without HTTP.

Belongs here: the questions of the service, and what a grid is. Not here: how a point is read
(`surface`), or transport: `http_client.HttpClient` asks a server the same and gets the same.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from volsurf_app.questions import BadQuestion, Day, Tenor, When, Where, when, where
from volsurf_app.surface_answers import ContractGreeks, SurfaceGrid, SurfacePoint, SviParams

if TYPE_CHECKING:
    from volsurf_resources.lake import Lake

Answer = TypeVar("Answer")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class GridSpec:
    """Times, of exactly one kind, and places, of exactly one kind, as `surface.at` has them."""

    tenors: Sequence[Tenor] = ()
    ttes: Sequence[float] = ()
    expiries: Sequence[Day] = ()
    log_moneyness: Sequence[float] = ()
    deltas: Sequence[float] = ()
    strikes: Sequence[float] = ()

    def times(self) -> list[When]:
        """The times, understood; BadQuestion where there are none or of several kinds."""
        if sum(map(bool, (self.tenors, self.ttes, self.expiries))) != 1:
            raise BadQuestion("a grid needs one of tenors, ttes and expiries")
        found = [when(tenor=x) for x in self.tenors] + [when(tte=x) for x in self.ttes]
        return found + [when(expiry=x) for x in self.expiries]

    def places(self) -> Where:
        """The places, understood; errors as for `times`."""
        if sum(map(bool, (self.log_moneyness, self.deltas, self.strikes))) != 1:
            raise BadQuestion("a grid needs one of log_moneyness, deltas and strikes")
        return where(self.log_moneyness or None, self.deltas or None, self.strikes or None)

    @property
    def size(self) -> int:
        """How many points there are."""
        n_times = len(self.tenors) + len(self.ttes) + len(self.expiries)
        return n_times * (len(self.log_moneyness) + len(self.deltas) + len(self.strikes))


STANDARD_GRID = GridSpec(
    tenors=("7d", "14d", "30d", "60d", "90d", "120d", "180d", "270d", "365d", "540d", "730d"),
    log_moneyness=(-0.3, -0.2, -0.1, -0.05, -0.025, 0.0, 0.025, 0.05, 0.1, 0.2),
)


class SurfaceClient(ABC):
    """The questions of the service. `date` None is the last session stored.

    `chosen` may name `model` (SVI, SABR, ...), `snapshot` (EOD, HHMM) and `known_at`. What cannot
    be answered raises BadQuestion or NotStored (`volsurf_app.questions`), whoever is asked.
    """

    def get_surface(
        self, symbol: str, date: Day | None, grid_spec: GridSpec = STANDARD_GRID, **chosen: Any
    ) -> SurfaceGrid:
        """Return the surface on a grid; points that quotes do not support have no value."""
        return self._ask(SurfaceGrid, "surface", symbol, {"grid": grid_spec}, {"on": date} | chosen)

    def get_implied_vol(
        self, symbol: str, date: Day | None, T: float | Day, K: float, **chosen: Any
    ) -> SurfacePoint:
        """Return the vol at strike `K` and time `T`: years, or a listed expiry's date."""
        asked = {"T": T, "K": K}
        return self._ask(SurfacePoint, "implied_vol", symbol, asked, {"on": date} | chosen)

    def get_svi_params(self, symbol: str, date: Day | None, **chosen: Any) -> SviParams:
        """Return the stored parameters of every listed expiry, with model version and status."""
        return self._ask(SviParams, "svi_params", symbol, {}, {"on": date} | chosen)

    def get_greeks(
        self,
        symbol: str,
        date: Day | None,
        expiry: Day,
        strike: float,
        option_type: str,
        root: str | None = None,
        **chosen: Any,
    ) -> ContractGreeks:
        """Return premium and greeks of a contract at the surface's vol."""
        asked = {"expiry": expiry, "strike": strike, "option_type": option_type, "root": root}
        return self._ask(ContractGreeks, "greeks", symbol, asked, {"on": date} | chosen)

    def get_why(
        self,
        symbol: str,
        date: Day | None,
        T: float | Day,
        K: float | None = None,
        root: str | None = None,
        **chosen: Any,
    ) -> dict[str, Any]:
        """Return what is behind the vol and greeks at `K` and `T`, or behind the smiles around `T`.

        Plain JSON: point, greeks, certificate, smiles (with fit, quotes and their verdicts, issues,
        forward, pairs), origins (files, with content hashes).
        """
        asked = time_of(T) | {"root": root, "strike": K}
        return self._ask(dict[str, Any], "why", symbol, asked, {"on": date} | chosen)

    @abstractmethod
    def _ask(self, kind: type[Answer], name: str, symbol: str, asked: Row, which: Row) -> Answer:
        """Answer the question `name` of the service with an object of a kind."""


class LocalClient(SurfaceClient):
    """The service in this process, over a lake (None: those of the settings' home)."""

    def __init__(self, lake: "Lake | None" = None) -> None:
        from volsurf_app import queries
        from volsurf_resources.settings import Settings

        self._lake_of = queries.open_lakes(Settings()).of if lake is None else lambda _: lake

    def _ask(self, kind: type[Answer], name: str, symbol: str, asked: Row, which: Row) -> Answer:
        answer: Answer = _ANSWERS[name](symbol, asked, {"lake": self._lake_of(symbol), **which})
        return answer


def time_of(T: float | Day) -> dict[str, Any]:
    """Return `T` as the keyword of `surface.at` that it stands for."""
    return {"tte": float(T)} if isinstance(T, int | float) else {"expiry": T}


def _surface(symbol: str, asked: Row, which: Row) -> Any:
    from volsurf_app import surface

    grid: GridSpec = asked["grid"]
    return surface.points(symbol, grid.times(), grid.places(), **which)


def _implied_vol(symbol: str, asked: Row, which: Row) -> Any:
    from volsurf_app import surface

    return surface.at(symbol, **time_of(asked["T"]), strike=asked["K"], **which)


def _svi_params(symbol: str, asked: Row, which: Row) -> Any:
    from volsurf_app import surface

    return surface.svi_params(symbol, **asked, **which)


def _greeks(symbol: str, asked: Row, which: Row) -> Any:
    from volsurf_app.contract_greeks import greeks

    return greeks(symbol, **asked, **which)


def _why(symbol: str, asked: Row, which: Row) -> Any:
    from pydantic import TypeAdapter

    from volsurf_app.queries.why import as_plain, why

    strike = asked["strike"]
    place = None if strike is None else where(strike=strike)
    time = when(tte=asked.get("tte"), expiry=asked.get("expiry"), root=asked["root"])
    found = why(symbol, time, place, **which)
    return json.loads(TypeAdapter(Any).dump_json(as_plain(found)))


_ANSWERS: dict[str, Callable[[str, Row, Row], Any]] = {
    "surface": _surface,
    "implied_vol": _implied_vol,
    "svi_params": _svi_params,
    "greeks": _greeks,
    "why": _why,
}
