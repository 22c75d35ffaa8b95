"""What a user types, understood or refused with exit code 2: symbols, sessions, ranges.

Belongs here: parsing and its messages. Not here: what is done with it.
"""

import re
from datetime import UTC, date, datetime
from typing import Annotated

import typer

from volsurf_resources.calendars import NEW_YORK, Calendar
from volsurf_resources.settings import Settings

Symbol = Annotated[
    str | None,
    typer.Argument(help="Underlying, as SPY. [default: DEFAULT_SYMBOL]", metavar="SYMBOL"),
]
Day = Annotated[
    str, typer.Option("--date", help="Session: YYYY-MM-DD, or today for the latest closed one.")
]
Start = Annotated[str, typer.Option("--start", help="First day: YYYY-MM-DD.")]
End = Annotated[str, typer.Option("--end", help="Last day: YYYY-MM-DD, or today.")]
Force = Annotated[bool, typer.Option("--force", help="Also redo what is up to date.")]
History = Annotated[
    int,
    typer.Option(
        "--history",
        help="Sessions of the underlying to fetch before the first one, so that windows are full.",
        min=0,
    ),
]

Model = Annotated[
    str,
    typer.Option(
        "--model",
        help="svi, ssvi, sabr, heston, or one of SMILE_MODELS (gvv is gamma_vanna_volga).",
    ),
]

TODAY = "today"
FULL_WINDOWS = 330  # sessions: 252 for the longest window, and room for forecasts from it
_SYMBOL = re.compile(r"[A-Z][A-Z0-9._]{0,14}")


def settings_of(symbol: str | None) -> Settings:
    """Return the settings in force, of the market that a symbol trades on."""
    settings = Settings()
    return settings.for_market(settings.market_of(symbol_of(symbol, settings)))


def symbol_of(text: str | None, settings: Settings) -> str:
    """Return the symbol asked for, in capitals; the default one of the market if none was."""
    usual = settings.default_symbol
    if settings.market_of(usual) != settings.volsurf_market:
        usual = settings.symbols[0]
    symbol = (text or usual).strip().upper()
    if not _SYMBOL.fullmatch(symbol):
        raise typer.BadParameter(f"{text!r} is no symbol", param_hint="SYMBOL")
    return symbol


def model_of(text: str, settings: Settings) -> str:
    """Return the model type asked for; one that is not fitted is refused."""
    from volsurf_tables.models import OWN_TABLES, SMILE_MODELS, model_type_of, table_of

    asked = text.strip().upper()
    if asked in OWN_TABLES:
        return asked
    from volsurf_math.smiles import registered_name

    try:
        name = registered_name(text)
        fitted = {registered_name(each) for each in settings.smile_models}
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--model") from None
    if name not in fitted and table_of(model_type_of(name)) is SMILE_MODELS:
        known = ",".join((*settings.smile_models, name))
        raise typer.BadParameter(
            f"{name} is fitted where SMILE_MODELS names it: SMILE_MODELS={known}",
            param_hint="--model",
        )
    return model_type_of(name)


def session_of(text: str, hint: str = "--date", *, calendar: Calendar = NEW_YORK) -> date:
    """Return the closed session that a date names; `today` is the latest one."""
    latest = calendar.latest_closed_session(datetime.now(UTC))
    if text.strip().lower() == TODAY:
        return latest
    day = _date(text, hint)
    if not calendar.is_session(day):
        what = f"a {day:%A}" if day.weekday() >= 5 else "an exchange holiday"
        raise typer.BadParameter(
            f"{day} is {what}; the session before is {calendar.previous_session(day)}",
            param_hint=hint,
        )
    _refuse_future(day, latest, hint)
    return day


def range_of(start: str, end: str, settings: Settings, *, is_stored: bool = False) -> list[date]:
    """Return the closed sessions from `start` to `end`, both included.

    What is stored may be looked at whatever INGESTION_START_DATE says by now.
    """
    latest = settings.calendar.latest_closed_session(datetime.now(UTC))
    first = _date(start, "--start")
    last = latest if end.strip().lower() == TODAY else _date(end, "--end")
    if first > last:
        raise typer.BadParameter(f"{first} is after --end {last}", param_hint="--start")
    if first < settings.ingestion_start_date and not is_stored:
        raise typer.BadParameter(
            f"{first} is before INGESTION_START_DATE {settings.ingestion_start_date}",
            param_hint="--start",
        )
    if last > latest:
        _refuse_future(last, latest, "--end")
    days = settings.calendar.sessions(first, last)
    if not days:
        raise typer.BadParameter(
            f"there is no session from {first} to {last}", param_hint="--start, --end"
        )
    return days


def _refuse_future(day: date, latest: date, hint: str) -> None:
    if day > latest:
        raise typer.BadParameter(
            f"{day} has not closed yet; the latest closed session is {latest}", param_hint=hint
        )


def _date(text: str, hint: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date: YYYY-MM-DD", param_hint=hint) from None
