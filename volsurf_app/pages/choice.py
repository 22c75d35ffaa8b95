"""What the reader looks at: symbol, session, snapshot, model, and as known at which time.

Belongs here: the sidebar, kept in the address. Not here: any page, the steps from session to
session (`sessions`), what is said where there is nothing (`absence`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

import polars as pl
import streamlit as st

from volsurf_app.pages import absence
from volsurf_app.pages.answers import ask
from volsurf_app.pages.sessions import choose_day, forget_asked
from volsurf_app.queries.models import MODEL_TABLES, stored_models
from volsurf_app.queries.seen import SeenLake, markets_of, newest_content, seen_lake, snapshots
from volsurf_resources.calendars import END_OF_DAY
from volsurf_resources.settings import Settings
from volsurf_tables.models import OWN_TABLES

REFRESH_SECONDS = 10.0
CHAINS = "raw_options_chains"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is looked at.

    `settings` are those of the symbol's market, `lake` is as the reader chose to see it, `days`
    are the sessions of the symbol with a chain, in order. `snapshot` is what to ask for: EOD for
    the official one, whatever its name, or HHMM; `snapshot_name` is how it is called.
    """

    settings: Settings
    lake: SeenLake
    symbol: str
    day: date
    snapshot: str
    snapshot_name: str
    model: str
    days: Sequence[date]

    @property
    def span(self) -> tuple[date, ...]:
        """All sessions from the first to the last, those that are missing too."""
        return tuple(
            sorted({*self.lake.calendar.sessions(self.days[0], self.days[-1]), *self.days})
        )

    @property
    def past(self) -> tuple[date, ...]:
        """Sessions up to the chosen one, those that are missing too: gaps are to be seen."""
        return tuple(day for day in self.span if day <= self.day)

    def history(
        self, question: Callable[..., pl.DataFrame], *more: object, reads: Sequence[str]
    ) -> pl.DataFrame:
        """Return the answer to `question(lake, symbol, sessions, *more)` up to the chosen session.

        All sessions are asked for at once, so that a step to the next one asks for nothing.
        """
        span = self.span
        rows = ask(self.lake, question, self.symbol, span, *more, reads=reads, days=span)
        return rows.filter(pl.col("quote_date") <= self.day)

    @property
    def time(self) -> str:
        """The snapshot and what was known then, in words."""
        name = self.snapshot_name
        words = "end of day" if name == END_OF_DAY else f"{name[:2]}:{name[2:]} UTC"
        at = self.lake.known_at
        return words if at is None else f"{words}, as known at {at:%Y-%m-%d %H:%M} UTC"

    def neighbours(self) -> list["Choice"]:
        """Return the same of the sessions before and after, where those are official ones too."""
        place = self.days.index(self.day)
        near = [*self.days[max(place - 1, 0) : place], *self.days[place + 1 : place + 2]]
        return [] if self.lake.day is not None else [replace(self, day=day) for day in near]

    def prepare(self) -> None:
        """Ask for what the sidebar will need."""
        ask_snapshots(self.lake, self.symbol, self.day)
        ask_models(self.lake, self.symbol, self.day, self.snapshot)


def ask_snapshots(lake: SeenLake, symbol: str, day: date) -> tuple[list[str], str]:
    """Return the names of a day's stored snapshots, and which of them is the official one."""
    return ask(lake, snapshots, symbol, day, reads=(CHAINS,), days=[day])


def ask_models(lake: SeenLake, symbol: str, day: date, snapshot: str) -> list[str]:
    """Return the models that a snapshot was fitted with."""
    return ask(lake, stored_models, symbol, day, snapshot, reads=MODEL_TABLES, days=[day])


def choose(settings: Settings) -> Choice | None:
    """Draw the sidebar; return the choice, or None after saying why there is none."""
    markets = markets_of(settings)
    if not markets:
        absence.tell_empty(settings)
        _watch(None, "", "")
        return None
    symbol = _symbol(markets, settings)
    if symbol is None:
        absence.tell_missing(st.session_state.get("asked_symbol"), list(markets), settings)
        return None
    own = markets[symbol]
    now = seen_lake(own)
    with st.sidebar:
        below = st.container()
        known_at = _known_at()
        _watch(now, symbol, newest_content(now, symbol))
    lake = seen_lake(own, known_at=known_at)
    days = lake.days(CHAINS, symbol)
    if known_at is not None and not days:
        first = now.footer(CHAINS, now.days(CHAINS, symbol)[0])
        absence.tell_unknown(symbol, known_at, first.first_known_at if first else known_at)
        return None
    with below:
        day = choose_day(symbol, days)
        name, is_official = _snapshot(lake, symbol, day)
        model = _model(lake, symbol, day, END_OF_DAY if is_official else name)
    if (asked := st.session_state.get("asked_day")) is not None:
        absence.tell_no_session(asked, own, symbol, days, day, forget_asked)
        return None
    keep_in_address(
        symbol=symbol, date=str(day), model=model, snapshot=None if is_official else name,
        known_at=None if known_at is None else f"{known_at:%Y-%m-%dT%H:%MZ}",
    )  # fmt: skip
    if not is_official:
        lake = seen_lake(own, day, name, known_at)
    return Choice(
        settings=own, lake=lake, symbol=symbol, day=day, model=model, days=days,
        snapshot=END_OF_DAY if is_official else name, snapshot_name=name,
    )  # fmt: skip


def newest(settings: Settings) -> Choice | None:
    """Return what is looked at before anything is chosen; None where there is nothing."""
    markets = markets_of(settings)
    if not markets:
        return None
    symbol = _usual(markets, settings)
    lake = seen_lake(markets[symbol])
    days = lake.days(CHAINS, symbol)
    name = ask_snapshots(lake, symbol, days[-1])[1]
    return Choice(
        settings=markets[symbol], lake=lake, symbol=symbol, day=days[-1], days=days,
        snapshot=END_OF_DAY, snapshot_name=name, model=next(iter(OWN_TABLES)),
    )  # fmt: skip


def _usual(held: Mapping[str, Settings], settings: Settings) -> str:
    return settings.default_symbol if settings.default_symbol in held else next(iter(held))


def _symbol(held: Mapping[str, Settings], settings: Settings) -> str | None:
    key = "chosen_symbol"
    if key not in st.session_state:
        asked = st.query_params.get("symbol", _usual(held, settings)).strip().upper()
        st.session_state[key] = asked if asked in held else None
        st.session_state["asked_symbol"] = asked
    if st.session_state[key] not in held:  # removed from the lake meanwhile
        st.session_state[key] = None
    return st.sidebar.selectbox("Symbol", list(held), key=key, placeholder="choose a symbol")


def _snapshot(lake: SeenLake, symbol: str, day: date) -> tuple[str, bool]:
    """Return the name of the day's snapshot that is looked at, and whether it is the official."""
    names, official = ask_snapshots(lake, symbol, day)
    key = "chosen_snapshot"
    wanted = st.session_state.get(key, st.query_params.get("snapshot"))
    usual = official if official in names else names[-1]
    st.session_state[key] = wanted if wanted in names else usual
    if len(names) == 1:
        return usual, usual == official
    chosen = st.selectbox(
        "Snapshot, UTC", names, key=key,
        format_func=lambda name: f"{name}, official" if name == official else name,
    )  # fmt: skip
    return chosen, chosen == official


def _model(lake: SeenLake, symbol: str, day: date, snapshot: str) -> str:
    models = ask_models(lake, symbol, day, snapshot) or list(OWN_TABLES)[:1]
    key = "chosen_model"
    wanted = st.session_state.get(key, st.query_params.get("model", models[0]))
    st.session_state[key] = wanted if wanted in models else models[0]
    return st.selectbox("Model", models, key=key, disabled=len(models) == 1)


def _known_at() -> datetime | None:
    """Offer to go back to what was known at a time; None is now."""
    key = "chosen_known_at"
    if key not in st.session_state:
        st.session_state[key] = _read_time(st.query_params.get("known_at", ""))
    chosen = st.datetime_input(
        "As known at, UTC", value=None, key=key, format="YYYY-MM-DD",
        help="Show what the lake held at that time, before anything was corrected or added. "
        "Empty: now.",
    )  # fmt: skip
    return None if chosen is None else chosen.replace(tzinfo=UTC)


def _read_time(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at


def keep_in_address(**chosen: str | None) -> None:
    """Keep in the page's address what is chosen, so that it can be sent; None is left out."""
    for name, value in chosen.items():
        if value is None:
            st.query_params.pop(name, None)
        elif st.query_params.get(name) != value:
            st.query_params[name] = value


@st.fragment(run_every=REFRESH_SECONDS)
def _watch(lake: SeenLake | None, symbol: str, drawn: str) -> None:
    """Draw the page again once the newest partitions are others than those that were drawn."""
    if lake is None:
        if markets_of(Settings()):
            st.rerun()
    elif newest_content(lake, symbol) != drawn:
        st.rerun()
