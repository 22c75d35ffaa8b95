"""Commands that ask the stored surface for numbers: `surface at`, `grid`, `price` and `svi`.

Belongs here: arguments and printing. Not here: how a point is answered (`volsurf_app.surface`).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from volsurf_app.cli.arguments import Model, Symbol, settings_of, symbol_of
from volsurf_app.cli.console import console, new_table, number, percent, points, show_table
from volsurf_app.cli.stored import StoredDay

if TYPE_CHECKING:
    from volsurf_app.surface_answers import ContractGreeks, SurfaceGrid, SurfacePoint
    from volsurf_resources.lake import Lake

surface = typer.Typer(no_args_is_help=True, help="Ask the stored surface for a number.")

Tenor = Annotated[str | None, typer.Option(help="Calendar days, weeks or years: 30d, 4w, 1y.")]
Years = Annotated[float | None, typer.Option("--tte", help="Years to expiry.")]
Expiry = Annotated[str | None, typer.Option(help="Listed expiry: YYYY-MM-DD.")]
Root = Annotated[str | None, typer.Option(help="Option root, where an expiry has several.")]
Delta = Annotated[float | None, typer.Option(help="Forward delta; puts negative: -0.25.")]
LogMoneyness = Annotated[
    float | None, typer.Option("--log-moneyness", "-k", help="ln(strike / forward).")
]
Snapshot = Annotated[str, typer.Option(help="Snapshot of the session: EOD, or HHMM in UTC.")]
KnownAt = Annotated[
    str | None, typer.Option(help="As it was known then: 2026-01-31T21:00:00Z.", metavar="TIME")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the whole answer as JSON.")]


@surface.command("at")
def at(
    symbol: Symbol = None,
    tenor: Tenor = None,
    tte: Years = None,
    expiry: Expiry = None,
    root: Root = None,
    delta: Delta = None,
    log_moneyness: LogMoneyness = None,
    strike: Annotated[float | None, typer.Option(help="USD.")] = None,
    date: StoredDay = None,
    model: Model = "svi",
    snapshot: Snapshot = "EOD",
    known_at: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """Show one point: where (delta, moneyness or strike) and when (tenor, years or expiry)."""
    from volsurf_app import surface as surfaces

    lake, asked = lake_of(symbol)
    with bad_questions_refused():
        point = surfaces.at(
            asked, tenor=tenor, tte=tte, expiry=expiry, root=root, log_moneyness=log_moneyness,
            delta=delta, strike=strike, on=date, model=model, snapshot=snapshot,
            known_at=known_at, lake=lake,
        )  # fmt: skip
    if as_json:
        print_json(point)
    else:
        show_point(point)
    _end_without_value(point.implied_vol)


@surface.command("grid")
def grid(
    symbol: Symbol = None,
    tenor: Annotated[list[str] | None, typer.Option(help="30d, 4w, 1y; one or more.")] = None,
    tte: Annotated[list[float] | None, typer.Option(help="Years; one or more.")] = None,
    expiry: Annotated[list[str] | None, typer.Option(help="Listed expiries.")] = None,
    delta: Annotated[list[float] | None, typer.Option(help="Forward deltas.")] = None,
    log_moneyness: Annotated[
        list[float] | None, typer.Option("--log-moneyness", "-k", help="ln(strike / forward).")
    ] = None,
    strike: Annotated[list[float] | None, typer.Option(help="USD.")] = None,
    date: StoredDay = None,
    model: Model = "svi",
    snapshot: Snapshot = "EOD",
    known_at: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """Show vols on a grid of times and places, each option given as often as there are values."""
    from volsurf_app import surface as surfaces
    from volsurf_app.client import STANDARD_GRID, GridSpec

    lake, asked = lake_of(symbol)
    spec = GridSpec(
        tenors=tenor or (), ttes=tte or (), expiries=expiry or (),
        log_moneyness=log_moneyness or (), deltas=delta or (), strikes=strike or (),
    )  # fmt: skip
    spec = STANDARD_GRID if spec == GridSpec() else spec
    with bad_questions_refused():
        found = surfaces.points(
            asked, spec.times(), spec.places(), on=date, model=model, snapshot=snapshot,
            known_at=known_at, lake=lake,
        )  # fmt: skip
    if as_json:
        print_json(found)
    else:
        _show_grid(found)


@surface.command("price")
def price(
    strike: Annotated[float, typer.Option(help="USD.")],
    symbol: Symbol = None,
    tenor: Tenor = None,
    tte: Years = None,
    expiry: Expiry = None,
    root: Root = None,
    date: StoredDay = None,
    model: Model = "svi",
    snapshot: Snapshot = "EOD",
    known_at: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """Price any strike off the smile: vol, call, put, greeks."""
    from volsurf_app.contract_greeks import greeks

    lake, asked = lake_of(symbol)
    with bad_questions_refused():
        call, put = (
            greeks(
                asked, strike=strike, option_type=side, tenor=tenor, tte=tte, expiry=expiry,
                root=root, on=date, model=model, snapshot=snapshot, known_at=known_at,
                lake=lake,
            )
            for side in ("CALL", "PUT")
        )  # fmt: skip
    if as_json:
        print_json({"call": call, "put": put})
    else:
        _show_prices(call, put)
    _end_without_value(call.implied_vol)


@surface.command("svi")
def svi(
    symbol: Symbol = None,
    date: StoredDay = None,
    model: Annotated[str, typer.Option(help="svi or ssvi.")] = "svi",
    snapshot: Snapshot = "EOD",
    known_at: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """Show the stored SVI parameters of every expiry."""
    from volsurf_app import surface as surfaces

    lake, asked = lake_of(symbol)
    with bad_questions_refused():
        found = surfaces.svi_params(
            asked, on=date, model=model, snapshot=snapshot, known_at=known_at, lake=lake
        )
    if as_json:
        print_json(found)
        return
    table = new_table()
    names = ("svi_a", "svi_b", "svi_rho", "svi_m", "svi_sigma")
    for name in ("expiry", "root", *names, "ATM vol %", "RMSE", "status"):
        table.add_column(name, justify="left" if name in ("expiry", "root", "status") else "right")
    for one in found.slices:
        cells = [_cell(getattr(one, name), number) for name in names]
        vols = [_cell(one.atm_vol, percent), _cell(one.rmse, points)]
        table.add_row(str(one.expiration_date), one.root, *cells, *vols, one.status)
    title = f"{found.symbol} {found.quote_date}: {found.model}, RMSE in vol points"
    show_table(title, table)


def lake_of(symbol: str | None) -> "tuple[Lake, str]":
    """Return the lake of a symbol's market, and the symbol in capitals, stored or not."""
    from volsurf_app import queries

    settings = settings_of(symbol)
    return queries.open_lake(settings), symbol_of(symbol, settings)


@contextmanager
def bad_questions_refused() -> Iterator[None]:
    """Turn a question that contradicts itself into a usage error, exit code 2."""
    from volsurf_app.questions import BadQuestion

    try:
        yield
    except BadQuestion as error:
        raise typer.BadParameter(str(error)) from None


def print_json(answer: Any) -> None:
    """Print an answer as JSON, every digit kept."""
    from pydantic import TypeAdapter

    typer.echo(TypeAdapter(Any).dump_json(answer, indent=2).decode())


def show_point(point: "SurfacePoint") -> None:
    """Print a point with its support, and what it comes from."""
    told = _told(point)
    told += [("log-moneyness", _cell(point.log_moneyness, "{:.6f}".format))]
    told += [("strike", _cell(point.strike, "{:.4f}".format))]
    told += [("forward delta", _cell(point.delta, "{:.4f}".format))]
    told += [("forward", _cell(point.forward, "{:.4f}".format))]
    told += [("days", _cell(point.tte_years, lambda tte: f"{365.0 * tte:.2f}"))]
    _show(_heading(point), told)
    _show_slices(point)


def _heading(answer: "SurfacePoint | ContractGreeks") -> str:
    tte = answer.tte_years
    when = answer.expiration_date or (None if tte is None else f"{365.0 * tte:.2f} days")
    return f"{answer.symbol} {answer.quote_date} {answer.snapshot} {answer.model}, {when}"


def _show_grid(found: "SurfaceGrid") -> None:
    table = new_table()
    for name in ("days", *(f"{place:g}" for place in found.places)):
        table.add_column(name, justify="right")
    for tte, vols in zip(found.tte_years, found.implied_vol, strict=True):
        days = _cell(tte, lambda years: f"{365.0 * years:.1f}")
        table.add_row(days, *(_cell(vol, percent) for vol in vols))
    title = f"{found.symbol} {found.quote_date} {found.snapshot} {found.model}"
    show_table(f"{title}: implied vol in % by {found.axis.replace('_', '-')}", table)
    if any(None in vols for vols in found.implied_vol):
        console.print("-: no quotes support a vol there")


def _show_prices(call: "ContractGreeks", put: "ContractGreeks") -> None:
    told = _told(call)
    told += [("forward", _cell(call.forward, "{:.4f}".format))]
    told += [("days", _cell(call.tte_years, lambda tte: f"{365.0 * tte:.2f}"))]
    _show(f"{_heading(call)}, strike {call.strike:.10g}", told)
    show_premiums((call, put))
    _show_slices(call)


def show_premiums(sides: "Sequence[ContractGreeks]") -> None:
    """Print premium and greeks of calls and puts."""
    table = new_table()
    names = ("price", "delta", "gamma", "theta", "vega", "rho")
    for name in ("", *names):
        table.add_column(name, justify="right" if name else "left")
    for side in sides:
        cells = [_cell(getattr(side, name), "{:.6g}".format) for name in names]
        table.add_row(side.option_type.lower(), *cells)
    show_table("European premium in USD; theta per year, vega and rho per 1.00", table)


def _told(answer: "SurfacePoint | ContractGreeks") -> list[tuple[str, Text]]:
    vol = _cell(answer.implied_vol, lambda x: f"{100 * x:.4f} %")
    error = _cell(answer.std_error, lambda x: f"{100 * x:.4f} vol points")
    status = answer.status if answer.reason is None else f"{answer.status}: {answer.reason}"
    colour = "" if answer.implied_vol is not None else "yellow"
    return [("implied vol", vol), ("std error", error), ("status", Text(status, style=colour))]


def _show(title: str, told: list[tuple[str, Text]]) -> None:
    table = Table.grid(padding=(0, 2))
    for name, value in told:
        table.add_row(name, value)
    show_table(title, table)


def _show_slices(answer: "SurfacePoint | ContractGreeks") -> None:
    for one in answer.slices:
        verdict = "free of arbitrage" if one.passes_no_arbitrage else "arbitrage found"
        if one.passes_no_arbitrage is None:
            n = one.butterfly_arbitrage_violations
            verdict = "not tested" if n is None else f"{n or 'no'} butterfly violations"
        fit = f", RMSE {one.rmse:.3f} vol points" if one.rmse is not None else ""
        told = f"{one.status}{fit}, {verdict}" + (f" ({one.reason})" if one.reason else "")
        console.print(f"from {one.root} {one.expiration_date}: {told}", markup=False)
    console.print(
        f"known at {answer.known_at:%Y-%m-%d %H:%M:%S} UTC, content {answer.content_hash[:12]}"
    )


def _cell(value: Any, form: Any) -> Text:
    return Text("-", style="bright_black") if value is None else Text(form(value))


def _end_without_value(implied_vol: float | None) -> None:
    if implied_vol is None:
        raise typer.Exit(1)
