"""The sections of the terminal: surface, smile, term structure, premium, history, coverage.

Belongs here: from the queries' frames to headings, units and charts. Not here: widgets, printing.
"""

import math
from collections.abc import Callable

import polars as pl

from volsurf_app import queries
from volsurf_app.charts import Series, Size, chart, line_chart, term_chart
from volsurf_app.cli.console import hundredths, number, percent, points
from volsurf_app.queries.evolution import SHAPE, constant_maturity, parameters_near, with_gaps
from volsurf_app.terminal.content import Content, Part, Shown, View
from volsurf_resources.calendars import END_OF_DAY
from volsurf_resources.lake import Lake

TENOR = 30  # days, of the history and of the premium's z-score
FITTED = ("fitted", "carried")
_SIDES = ("bid", "ask")
_UNITS = {"USD": "$"}


def _price(value: float) -> str:
    """Show dollars and cents, or the finer ticks of prices in coins."""
    return f"{value:.2f}" if math.isclose(value, round(value, 2)) else f"{value:.4f}"


_EXPIRIES: Shown = {
    "expiration_date": ("expiry", None),
    "days": ("days", None),
    "atm_vol": ("ATM %", percent),
    "skew_25delta": ("skew %", percent),
    "butterfly_25delta": ("fly %", percent),
    "rmse": ("RMSE vp", points),
    "inside_spread_share": ("inside %", lambda share: f"{100 * share:.0f}"),
    "num_points": ("quotes", None),
    "status": ("status", None),
    "forward": ("forward $", hundredths),
    "root": ("root", None),
}
_TERM: Shown = {
    name: _EXPIRIES[name]
    for name in ("expiration_date", "days", "atm_vol", "skew_25delta", "status", "forward", "root")
}
_GREEKS: Shown = {
    "delta": ("delta", lambda x: f"{x:.3f}"),
    "gamma": ("gamma", lambda x: f"{x:.3g}"),
    "theta": ("theta $/y", hundredths),
    "vega": ("vega $", hundredths),
    "rho": ("rho $", hundredths),
}
_STRIKES: Shown = {
    "strike": ("strike $", lambda x: f"{x:g}"),
    "option_type": ("type", str.lower),
    "bid": ("bid", _price),
    "ask": ("ask", _price),
    "iv_mid": ("IV %", percent),
    **_GREEKS,
    "open_interest": ("OI", lambda n: f"{n:.0f}"),
    "is_liquid": ("liquid", lambda is_liquid: "yes" if is_liquid else "no"),
}
_QUOTES: Shown = {
    "strike": ("strike $", lambda x: f"{x:g}"),
    "option_type": ("type", str.lower),
    "iv_bid": ("IV bid", percent),
    "iv_mid": ("mid", percent),
    "iv_ask": ("ask %", percent),
    "model_vol": ("curve %", percent),
    "error_vol_points": ("error vp", points),
    **_GREEKS,
}
_PREMIUM: Shown = {
    "quote_date": ("session", None),
    "implied_vol_30d": ("implied %", percent),
    "realized_vol_30d": ("realised %", percent),
    "vrp_30d": ("VRP 30d %", percent),
    "vrp_60d": ("60d %", percent),
    "vrp_90d": ("90d %", percent),
    "vrp_zscore": ("z-score", hundredths),
    "vrp_percentile": ("pctile %", percent),
    "status": ("status", None),
}
_HISTORY: Shown = {
    "quote_date": ("session", None),
    "atm_vol": ("ATM %", percent),
    "skew_25delta": ("skew %", percent),
    "expiration_date": ("expiry", None),
    "status": ("status", None),
}
_COVERAGE: Shown = {
    "table": ("table", None),
    "present": ("stored", None),
    "asked": ("of", None),
    "strip": ("sessions, oldest first", None),
}


def surface(lake: Lake, view: View) -> Content:
    """Every expiry's smile in a row, and the strikes of the chosen one with vols and greeks."""
    rows = queries.expiries(lake, view.symbol, view.day, model=view.model)
    place = place_of(rows, view)
    root, expiration, forward = rows.select("root", "expiration_date", "forward").row(place)
    chain = queries.strikes(lake, view.symbol, view.day, root, expiration)
    unit = queries.price_unit(lake, view.symbol, view.day)
    sides: Shown = {side: (f"{side} {_UNITS.get(unit, unit)}", _price) for side in _SIDES}
    strikes = Part("strikes", chain, {**_STRIKES, **sides}, _nearest(chain, forward), expiration)
    return Content(_expiry_line(rows, place), (Part("expiries", rows, _EXPIRIES, place), strikes))


def smile(lake: Lake, view: View) -> Content:
    """The quotes of one expiry at their own vols, and the curve through them."""
    rows = queries.expiries(lake, view.symbol, view.day, model=view.model)
    place = place_of(rows, view)
    root, expiration = rows.select("root", "expiration_date").row(place)
    line = _expiry_line(rows, place)
    picture = queries.smile_picture(
        lake, view.symbol, view.day, expiration, root=root, model_type=view.model
    )
    used = picture.quotes.filter("is_used")
    quotes = used if used.height else picture.quotes.drop_nulls("iv_mid")
    place = _nearest(quotes, picture.smile["forward"])
    part = Part("quotes", quotes, _QUOTES, place, expiration)
    title = f"{view.symbol} {expiration} vol %"

    def draw(size: Size, is_coloured: bool) -> str:
        own = _smile_series(picture.curve, quotes, view.model)
        upright = ("forward", picture.smile["forward"])
        return chart(title, own, upright=upright, size=size, is_coloured=is_coloured)

    has_numbers = quotes.height > 0
    return Content(line, (part,), draw if has_numbers else None)


def term(lake: Lake, view: View) -> Content:
    """Vol at the forward by expiry, with the power law through it."""
    rows = queries.expiries(lake, view.symbol, view.day, model=view.model)
    place = place_of(rows, view)
    known = rows.filter(pl.col("atm_vol") > 0.0, pl.col("days") > 0)
    laws = queries.term_structure(lake, view.symbol, view.day).filter(status="fitted")
    days = known["days"].to_list()
    series = [Series("ATM, one per expiry", days, _in_percent(known["atm_vol"]), "•", False)]
    line = f"{known.height} expiries with a vol at the forward"
    for law in laws.iter_rows(named=True):
        fitted = [100.0 * law["atm_term_a"] * t ** law["atm_term_b"] for t in known["tte_years"]]
        series.insert(0, Series("power law", days, fitted, "hd"))
        line += (
            f"; ATM {100 * law['atm_term_a']:.2f} % x T^{law['atm_term_b']:.3f}"
            f", RMSE {law['atm_term_rmse']:.3f} vol points"
        )

    def draw(size: Size, is_coloured: bool) -> str:
        return term_chart("vol %", series, size=size, is_coloured=is_coloured)

    columns: Shown = {
        n: _EXPIRIES[n] for n in _EXPIRIES if n not in ("rmse", "inside_spread_share")
    }
    part = Part("term_structure", rows, columns, place)
    return Content(line, (part,), draw if known.height else None)


def vrp(lake: Lake, view: View) -> Content:
    """Implied against realised volatility over the last sessions."""
    days = queries.sessions_until(lake, view.symbol, view.day, view.sessions)
    rows = with_gaps(queries.premium(lake, view.symbol, days), days)
    last = rows.row(-1, named=True)
    line = f"no premium on {last['quote_date']}"
    if last["reason"] is not None:
        line += f": {last['reason']}"
    if last["vrp_30d"] is not None:
        line = f"VRP 30d {100 * last['vrp_30d']:+.2f} %"
        if last["vrp_zscore"] is not None:
            line += f", z-score {last['vrp_zscore']:+.2f} over {last['num_history']} sessions"

    def draw(size: Size, is_coloured: bool) -> str:
        vols = {
            "implied 30d": _in_percent(rows["implied_vol_30d"]),
            "realised": _in_percent(rows["realized_vol_30d"]),
            "premium": _in_percent(rows["vrp_30d"]),
        }
        return line_chart(
            "%", rows["quote_date"].to_list(), vols, size=size, is_coloured=is_coloured
        )

    return Content(line, (Part("vrp", rows[::-1], _PREMIUM),), draw)


def history(lake: Lake, view: View) -> Content:
    """Vol and skew at thirty days, and the smile nearest to them, session by session.

    Of a model that is not stored at constant maturity, vol and skew are those of that smile.
    """
    days = queries.sessions_until(lake, view.symbol, view.day, view.sessions)
    near = parameters_near(lake, view.symbol, days, view.model, TENOR)
    if near["status"].is_null().all():
        told = f"no {view.model} smiles of {view.symbol} from {days[0]} to {days[-1]} are stored"
        raise queries.NotStored(told)
    near = near.drop("root", "days", "rmse", strict=False)
    rows, where = near, f"of the smile nearest to {TENOR} days"
    shape = constant_maturity(lake, view.symbol, days, view.model).filter(tenor_days=TENOR)
    if shape["atm_vol"].is_not_null().any():
        own = with_gaps(shape.select("quote_date", *SHAPE), days)
        rows = own.join(near.drop(SHAPE, strict=False), on="quote_date", how="left")
        where = f"at {TENOR} days"
    rows = rows.select("quote_date", *SHAPE, pl.exclude("quote_date", *SHAPE))
    columns = {
        name: _HISTORY.get(name, (name.removeprefix("svi_"), number)) for name in rows.columns
    }
    missing = rows.filter(pl.col("atm_vol").is_null())["quote_date"].to_list()
    gaps = f"; no value on {queries.listed(missing, 6)}" if missing else ""
    line = f"{rows.height} sessions, ATM and 25-delta skew {where}{gaps}"

    def draw(size: Size, is_coloured: bool) -> str:
        vols = {
            "ATM": _in_percent(rows["atm_vol"]),
            "25-delta skew": _in_percent(rows["skew_25delta"]),
        }
        return line_chart("%", days, vols, size=size, is_coloured=is_coloured)

    return Content(line, (Part("history", rows[::-1], columns),), draw)


def coverage(lake: Lake, view: View) -> Content:
    """Which tables hold which of the last sessions."""
    days = queries.sessions_until(lake, view.symbol, view.day, view.sessions)
    found = queries.coverage(lake, view.symbol, days[0], days[-1])
    found = found.filter(pl.col("quote_date").is_in(days))
    mark = pl.when("is_present").then(pl.lit("■")).otherwise(pl.lit("·"))
    rows = found.group_by("table", maintain_order=True).agg(
        present=pl.col("is_present").sum(), asked=pl.len(), strip=mark.str.join("")
    )
    gaps = found.filter(~pl.col("is_present"), table="raw_options_chains")["quote_date"].to_list()
    line = f"{days[0]} to {days[-1]}: "
    line += f"no chain on {queries.listed(gaps, 4)}" if gaps else "a chain of every session"
    if gaps:
        line += f"; fill with `volsurf backfill {view.symbol} --start {gaps[0]} --end {gaps[-1]}`"
    return Content(line, (Part("coverage", rows, _COVERAGE),))


SECTIONS: dict[str, Callable[[Lake, View], Content]] = {
    "surface": surface,
    "smile": smile,
    "term": term,
    "vrp": vrp,
    "history": history,
    "coverage": coverage,
}


def place_of(rows: pl.DataFrame, view: View) -> int:
    """Return the row of the view's expiry; of the fitted one nearest to 30 days if none is named.

    NotStored where the session has no smile of that expiry, or none at all.
    """
    if rows.is_empty():
        raise queries.NotStored(f"no {view.model} smiles of {view.symbol} on {view.day} are stored")
    if view.expiration is None:
        ranked = rows.with_row_index("place").sort(
            pl.col("status").is_in(FITTED).not_(), (pl.col("days") - TENOR).abs()
        )
        return int(ranked["place"][0])
    found = rows.with_row_index("place").filter(
        pl.col("expiration_date") == view.expiration,
        True if view.root is None else pl.col("root") == view.root,
    )
    if found.is_empty():
        there = queries.listed(rows["expiration_date"].unique().sort())
        raise queries.NotStored(
            f"{view.symbol} on {view.day} has no expiry {view.expiration}; there are {there}"
        )
    return int(found.sort("num_points", descending=True, maintain_order=True)["place"][0])


def _expiry_line(rows: pl.DataFrame, place: int) -> str:
    own = rows.row(place, named=True)
    line, time = f"{own['root']} {own['expiration_date']}", own["snapshot"]
    line += f", {own['days']} days, {own['status']}"
    if time != END_OF_DAY:
        line = f"quotes of {time[:2]}:{time[2:]} UTC, {line}"
    if own["atm_vol"] is not None:
        line += f", ATM {100 * own['atm_vol']:.2f} %"
    if own["rmse"] is not None:
        line += f", RMSE {own['rmse']:.3f} vp, forward {own['forward']:.2f}"
    return line if own["reason"] is None else f"{line}: {own['reason']}"


def _smile_series(curve: pl.DataFrame, quotes: pl.DataFrame, model: str) -> list[Series]:
    def one(name: str, rows: pl.DataFrame, vol: str, marker: str, is_line: bool) -> Series:
        return Series(name, rows["strike"].to_list(), _in_percent(rows[vol]), marker, is_line)

    puts, calls = (quotes.filter(option_type=side) for side in ("PUT", "CALL"))
    series = [one("puts", puts, "iv_mid", "p", False), one("calls", calls, "iv_mid", "c", False)]
    if curve.height:
        observed = curve.filter(~pl.col("is_extrapolated"))
        series.append(one(model, observed, "implied_vol", "hd", True))
        beyond = curve.filter("is_extrapolated")
        series.append(one("extrapolated", beyond, "implied_vol", "·", False))
    return series


def _nearest(rows: pl.DataFrame, forward: float | None) -> int:
    """Return the row whose strike is nearest to the forward."""
    if forward is None or rows.is_empty():
        return 0
    return int((rows["strike"] - forward).abs().arg_min() or 0)


def _in_percent(values: pl.Series) -> list[float | None]:
    return (100.0 * values.cast(pl.Float64)).to_list()
