"""The command `why`: from a vol back to its quotes, rules, forward, fit and files.

Belongs here: printing. Not here: what is behind a number (`volsurf_app.queries.why`).
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from volsurf_app.cli import surface as asking
from volsurf_app.cli.arguments import Model, Symbol
from volsurf_app.cli.console import Shown, console, number, percent, points, show_frame, show_table
from volsurf_app.cli.stored import StoredDay

if TYPE_CHECKING:
    from volsurf_app.queries.why import SmileOrigin, Why
    from volsurf_app.stored_surface import Row

_FEW = 3  # of a list of parameters

_MONEY: dict[str, tuple[str, Any]] = {
    "strike": ("strike", number),
    "option_type": ("type", str.lower),
    "bid": ("bid", number),
    "ask": ("ask", number),
}
_VOLS: Shown = _MONEY | {
    "iv_bid": ("IV bid %", percent),
    "iv_mid": ("IV mid %", percent),
    "iv_ask": ("IV ask %", percent),
    "model_vol": ("model %", percent),
    "error_vol_points": ("error", points),
    "contract_id": ("contract", None),
}
_LISTED: Shown = {
    "option_type": ("type", str.lower),
    "bid": ("bid", number),
    "ask": ("ask", number),
    "iv_mid": ("own IV %", percent),
    "delta": ("delta", "{:.4f}".format),
    "gamma": ("gamma", "{:.6f}".format),
    "theta": ("theta", number),
    "vega": ("vega", number),
    "rho": ("rho", number),
    "verdict": ("verdict", None),
    "reject_reason": ("rules", None),
    "contract_id": ("contract", None),
}
_REJECTED: Shown = _MONEY | {
    "reject_reason": ("rules", None),
    "measured": ("measured", None),
    "contract_id": ("contract", None),
}
_PAIRS: Shown = {
    "strike": ("strike", number),
    "mid_call": ("call", number),
    "mid_put": ("put", number),
    "premium_call": ("early exercise, call", points),
    "premium_put": ("put", points),
    "pair_forward": ("forward", "{:.4f}".format),
}
_ORIGINS: Shown = {
    "table": ("table", None),
    "quote_date": ("session", None),
    "content_hash": ("content", lambda text: text[:12]),
    "is_unchanged": ("as read", lambda same: "yes" if same else "replaced since"),
    "known_at": ("known at", lambda at: f"{at:%Y-%m-%d %H:%M:%S} UTC"),
    "source": ("source", None),
    "code_version": ("code", None),
    "run_id": ("run", lambda run: run[:8]),
}


def why(
    symbol: Symbol = None,
    expiry: asking.Expiry = None,
    tenor: asking.Tenor = None,
    tte: asking.Years = None,
    root: asking.Root = None,
    strike: Annotated[float | None, typer.Option(help="USD. [default: the whole smile]")] = None,
    delta: asking.Delta = None,
    log_moneyness: asking.LogMoneyness = None,
    date: StoredDay = None,
    model: Model = "svi",
    snapshot: asking.Snapshot = "EOD",
    known_at: asking.KnownAt = None,
    as_json: asking.AsJson = False,
) -> None:
    """Show what is behind a vol or a greek: quotes used, rejected and why, forward, fit, files."""
    from volsurf_app.queries.why import as_plain
    from volsurf_app.queries.why import why as ask_why
    from volsurf_app.questions import when, where

    lake, asked = asking.lake_of(symbol)
    with asking.bad_questions_refused():
        is_point = any(x is not None for x in (strike, delta, log_moneyness))
        place = where(log_moneyness, delta, strike) if is_point else None
        found = ask_why(
            asked, when(tenor, tte, expiry, root), place, on=date, model=model,
            snapshot=snapshot, known_at=known_at, lake=lake,
        )  # fmt: skip
    if as_json:
        asking.print_json(as_plain(found))
    else:
        _show(found)
    if found.point is not None and found.point.implied_vol is None:
        raise typer.Exit(1)


def _show(found: "Why") -> None:
    import polars as pl

    if found.point is not None:
        asking.show_point(found.point)
    if found.greeks:
        asking.show_premiums(found.greeks)
    for smile in found.smiles:
        if found.point is not None and found.point.strike is not None:
            _show_listed(smile, found.point.strike)
        _show_smile(smile)
    if (row := found.certificate) is not None:
        verdict = "free of static arbitrage" if row["is_clean"] else "static arbitrage found"
        scope = f"calendar on the {row['calendar_scope']}"
        _show_row(f"certificate of the surface: {row['status']}, {verdict}, {scope}", row)
    rows = [{name: getattr(one, name) for name in _ORIGINS} for one in found.origins]
    show_frame("files", pl.DataFrame(rows, infer_schema_length=None), _ORIGINS)


def _show_listed(smile: "SmileOrigin", strike: float) -> None:
    """Print the contracts of that very strike, with vols and greeks of their own."""
    listed = smile.quotes.filter(strike=strike)
    if listed.height:
        told = f"{smile.fit['root']} {smile.fit['expiration_date']}: contracts at {strike:g}"
        show_frame(f"{told}, own vols and greeks, theta per year", listed, _LISTED)


def _show_smile(smile: "SmileOrigin") -> None:
    import polars as pl

    fit, quotes = smile.fit, smile.quotes
    name = f"{fit['root']} {fit['expiration_date']}"
    counts = quotes["verdict"].value_counts().sort("verdict").rows()
    measured = smile.issues.group_by("contract_id").agg(
        measured=pl.format("{} {}", "rule", pl.col("value").round_sig_figs(3)).str.join(", ")
    )
    nearest = quotes.join(measured, on="contract_id", how="left").sort("strike", "option_type")
    used, rejected = (nearest.filter(verdict=word) for word in ("used", "rejected"))
    show_frame(f"{name}: quotes used, vols in %, error in vol points", used, _VOLS)
    show_frame(f"{name}: quotes rejected, and the rules they break", rejected, _REJECTED)
    forward = smile.forward
    if forward:
        method = f"{forward['method']}, {forward['status']}, {forward['n_pairs']} pairs"
        method += f", {n} left out" if (n := forward["n_left_out"]) else ""
        error = forward["forward_std_error"]
        spread = "" if error is None else f" +- {error:.4f}"
        show_frame(f"{name}: the forward's pairs, mids", smile.pairs, _PAIRS)
        console.print(f"forward {forward['forward']:.4f}{spread} by {method}", markup=False)
    console.print(f"\n{name} of {smile.quote_date}: " + ", ".join(f"{n} {v}" for v, n in counts))
    _show_row(f"{name}: the fit", fit)


def _show_row(title: str, row: "Row") -> None:
    """Print what is known of a row, three columns of a table beside each other."""
    cells = [(name, _written(value)) for name, value in _flat(row) if value is not None]
    cells += [("", "")] * (-len(cells) % 3)
    table = Table.grid(padding=(0, 2))
    for i in range(0, len(cells), 3):
        table.add_row(*(Text(word) for cell in cells[i : i + 3] for word in cell))
    show_table(title, table)


def _flat(row: "Row") -> Iterator[tuple[str, Any]]:
    """Return names and values of a row, parameters that are stored as JSON by their own names."""
    for name, value in row.items():
        if name == "parameters" and value is not None:
            yield from json.loads(value).items()
        else:
            yield name, value


def _written(value: Any) -> str:
    if isinstance(value, list):
        few = ", ".join(_written(one) for one in value[:_FEW])
        return few if len(value) <= _FEW else f"{few}, ... ({len(value)})"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
