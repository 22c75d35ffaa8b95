"""The endpoints: each a question of `volsurf_app.surface` or `volsurf_app.queries`, asked by HTTP.

Belongs here: addresses, and answers as JSON. What is answered from memory in a moment runs in the
event loop; what may read many files runs in a thread.
"""

from datetime import UTC, datetime
from datetime import date as Date
from itertools import chain
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, TypeAdapter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from volsurf_app import surface
from volsurf_app.api.asking import (
    Chosen,
    Grid,
    HistoryQuestion,
    ImpliedVolQuestion,
    OptionQuestion,
    PointQuestion,
    Points,
)
from volsurf_app.api.observing import Health, Metrics, health_of
from volsurf_app.api.problems import MEDIA_TYPE, Problem
from volsurf_app.client import STANDARD_GRID, GridSpec
from volsurf_app.contract_greeks import greeks
from volsurf_app.queries import Lakes
from volsurf_app.queries import symbols as stored_symbols
from volsurf_app.queries.column_history import ColumnHistory, column_history
from volsurf_app.queries.why import as_plain, why
from volsurf_app.questions import NotStored, as_symbol, when, where
from volsurf_app.stored_surface import TABLE
from volsurf_app.surface_answers import UNITS, ContractGreeks, SurfaceGrid, SurfacePoint, SviParams
from volsurf_resources.settings import Settings

Symbol = Annotated[
    str, Path(description="Underlying, as SPY.", max_length=10, pattern=r"^[A-Za-z][A-Za-z0-9.]*$")
]
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": told, "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}}}
    for status, told in {
        401: "The server's token is missing.",
        404: "The store does not hold what was asked for.",
        413: "The body or the grid is too large.",
        422: "The question contradicts itself or is not understood.",
        429: "Too many requests.",
        503: "The store cannot be read at the moment.",
    }.items()
}


class Symbols(BaseModel):
    """Symbols of the newest stored session of every market."""

    symbols: list[str]


class Dates(BaseModel):
    """Sessions whose surface is stored."""

    symbol: str
    dates: list[Date]


class PointHistory(BaseModel):
    """One point through the sessions; units as in a point."""

    symbol: str
    model: str
    rows: list[dict[str, Any]]
    units: dict[str, str]


def routes_of(lakes: Lakes, settings: Settings, metrics: Metrics) -> APIRouter:
    """Return the endpoints over the lakes of a home."""
    router = APIRouter(responses=PROBLEMS)
    _add_points(router, lakes, settings)
    _add_origins(router, lakes)
    _add_grids(router, lakes, settings)
    _add_histories(router, lakes, settings)
    _add_state(router, lakes, metrics)
    return router


def _json(adapter: TypeAdapter[Any], answer: Any) -> Response:
    return Response(adapter.dump_json(answer), media_type="application/json")


def _add_points(router: APIRouter, lakes: Lakes, settings: Settings) -> None:
    point, points = TypeAdapter(SurfacePoint), TypeAdapter(list[SurfacePoint])

    @router.get("/v1/{symbol}/implied_vol", response_model=SurfacePoint)
    async def get_implied_vol(
        symbol: Symbol, asked: Annotated[ImpliedVolQuestion, Query()]
    ) -> Response:
        """Return the vol at a strike and a time."""
        answer = surface.at(
            symbol, **asked.when(), strike=asked.K, **asked.which(), lake=lakes.of(symbol)
        )
        return _json(point, answer)

    @router.get("/v1/{symbol}/point", response_model=SurfacePoint)
    async def get_point(symbol: Symbol, asked: Annotated[PointQuestion, Query()]) -> Response:
        """Return one point: when (tenor, tte or expiry), where (moneyness, delta or strike)."""
        return _json(
            point, surface.at(symbol, **asked.point(), **asked.which(), lake=lakes.of(symbol))
        )

    @router.post("/v1/{symbol}/points", response_model=list[SurfacePoint])
    def get_points(symbol: Symbol, asked: Points) -> Response:
        """Return many points of one surface."""
        _refuse_large(len(asked.points), settings)
        stored = surface.open_surface(symbol, lakes.of(symbol), **asked.which())
        found = [
            surface.point_of(
                stored,
                when(one.tenor, one.tte, one.expiry, one.root),
                where(one.log_moneyness, one.delta, one.strike),
            )
            for one in asked.points
        ]
        return _json(points, found)


def _add_origins(router: APIRouter, lakes: Lakes) -> None:
    params, option, plain = TypeAdapter(SviParams), TypeAdapter(ContractGreeks), TypeAdapter(Any)

    @router.get("/v1/{symbol}/svi_params", response_model=SviParams)
    async def get_svi_params(symbol: Symbol, chosen: Annotated[Chosen, Query()]) -> Response:
        """Return the stored SVI parameters of every listed expiry."""
        return _json(params, surface.svi_params(symbol, **chosen.which(), lake=lakes.of(symbol)))

    @router.get("/v1/{symbol}/greeks", response_model=ContractGreeks)
    async def get_greeks(symbol: Symbol, asked: Annotated[OptionQuestion, Query()]) -> Response:
        """Return premium and greeks of an option at the surface's vol."""
        return _json(
            option, greeks(symbol, **asked.option(), **asked.which(), lake=lakes.of(symbol))
        )

    @router.get("/v1/{symbol}/why", response_model=dict[str, Any])
    def get_why(symbol: Symbol, asked: Annotated[PointQuestion, Query()]) -> Response:
        """Return what is behind a point, or behind a smile where no place is given."""
        is_point = any(x is not None for x in (asked.log_moneyness, asked.delta, asked.strike))
        place = where(asked.log_moneyness, asked.delta, asked.strike) if is_point else None
        time = when(asked.tenor, asked.tte, asked.expiry, asked.root)
        return _json(
            plain, as_plain(why(symbol, time, place, **asked.which(), lake=lakes.of(symbol)))
        )


def _add_grids(router: APIRouter, lakes: Lakes, settings: Settings) -> None:
    grid = TypeAdapter(SurfaceGrid)

    def answer(symbol: str, asked: Grid) -> Response:
        spec = asked.spec()
        spec = STANDARD_GRID if spec == GridSpec(**_LISTS) else spec
        _refuse_large(spec.size, settings)
        times, places = spec.times(), spec.places()
        return _json(
            grid, surface.points(symbol, times, places, **asked.which(), lake=lakes.of(symbol))
        )

    @router.get("/v1/{symbol}/surface", response_model=SurfaceGrid)
    def get_surface(symbol: Symbol, asked: Annotated[Grid, Query()]) -> Response:
        """Return the surface on a grid; without times and places on the standard one."""
        return answer(symbol, asked)

    @router.post("/v1/{symbol}/surface", response_model=SurfaceGrid)
    def post_surface(symbol: Symbol, asked: Grid) -> Response:
        """Return the surface on a grid that is too long for an address."""
        return answer(symbol, asked)


def _add_histories(router: APIRouter, lakes: Lakes, settings: Settings) -> None:
    history = TypeAdapter(PointHistory)

    @router.get("/v1/{symbol}/history", response_model=PointHistory)
    def get_history(symbol: Symbol, asked: Annotated[HistoryQuestion, Query()]) -> Response:
        """Return one point through the stored sessions of a range."""
        _refuse_unknown(lakes, symbol)
        time = when(asked.tenor, asked.tte, asked.expiry, asked.root)
        place = where(asked.log_moneyness, asked.delta, asked.strike)
        rows = surface.history(
            symbol, time, place, start=asked.start, end=asked.end,
            model=asked.model, snapshot=asked.snapshot, lake=lakes.of(symbol),
        )  # fmt: skip
        told = PointHistory(
            symbol=symbol.upper(),
            model=asked.model.upper(),
            rows=rows.rows(named=True),
            units=UNITS,
        )
        return _json(history, told)

    @router.get("/v1/{symbol}/history/{table}/{column}", response_model=ColumnHistory)
    def get_column_history(
        symbol: Symbol,
        table: Annotated[str, Path(max_length=40)],
        column: Annotated[str, Path(max_length=40)],
        start: Annotated[Date, Query()],
        end: Annotated[Date, Query()],
        key: Annotated[list[str], Query(description="name:value of further key columns.")] = [],  # noqa: B006
    ) -> ColumnHistory:
        """Return a column of a table through the stored sessions of a range."""
        _refuse_unknown(lakes, symbol)
        return column_history(lakes.of(symbol), as_symbol(symbol), table, column, start, end, key)


def _add_state(router: APIRouter, lakes: Lakes, metrics: Metrics) -> None:
    @router.get("/v1/symbols")
    def get_symbols() -> Symbols:
        """Return the symbols of the newest stored session of every market."""
        return Symbols(
            symbols=sorted({*chain.from_iterable(map(stored_symbols, lakes.by_market.values()))})
        )

    @router.get("/v1/{symbol}/dates")
    def get_dates(symbol: Symbol) -> Dates:
        """Return the sessions whose surface is stored."""
        _refuse_unknown(lakes, symbol)
        asked = as_symbol(symbol)
        return Dates(symbol=asked, dates=lakes.of(asked).days(TABLE, asked))

    @router.get("/health")
    def get_health() -> Health:
        """Return how far the stored surfaces reach, against the last closed session."""
        return health_of(lakes, datetime.now(UTC))

    @router.get("/metrics", response_class=Response)
    def get_metrics() -> Response:
        """Return the counts of this process in the text format of Prometheus."""
        return Response(metrics.text(lakes), media_type="text/plain; version=0.0.4")


_LISTS: dict[str, Any] = {
    name: [] for name in ("tenors", "ttes", "expiries", "log_moneyness", "deltas", "strikes")
}


def _refuse_large(size: int, settings: Settings) -> None:
    if size > settings.serve_max_points:
        told = f"at most {settings.serve_max_points} points at once, was {size}"
        raise HTTPException(413, told)


def _refuse_unknown(lakes: Lakes, symbol: str) -> None:
    if surface.last_session(lakes.of(symbol), as_symbol(symbol)) == Date.min:
        raise NotStored(f"no surface of {as_symbol(symbol)} is stored")
