"""What the reader looks at: symbol, session, model; chosen in the sidebar, kept in the address.

Belongs here: the sidebar, and what becomes of an address that names something the lake lacks. Not
here: any page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import streamlit as st

from volsurf_app import queries
from volsurf_app.pages.answers import ask
from volsurf_app.queries.diagnostics import model_types
from volsurf_resources.lake import Lake
from volsurf_resources.settings import Settings

PLAY_SECONDS = 0.9
_WIDGETS = {"symbol": "chosen_symbol", "date": "chosen_day", "model": "chosen_model"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is looked at. `days` are the sessions of the symbol with a chain, in order."""

    settings: Settings
    lake: Lake
    symbol: str
    day: date
    model: str
    days: Sequence[date]

    @property
    def past(self) -> tuple[date, ...]:
        """Sessions up to the chosen one, those that are missing too: gaps are to be seen."""
        first = self.days[0]
        known = {
            *self.lake.calendar.sessions(first, self.day),
            *(day for day in self.days if day <= self.day),
        }
        return tuple(sorted(known))


def choose(settings: Settings, lake: Lake) -> Choice | None:
    """Draw the sidebar; return the choice, or None after saying why there is none."""
    held = queries.symbols(lake)
    if not held:
        _tell_empty(settings)
        return None
    symbol = _symbol(held, settings)
    days = lake.days("raw_options_chains", symbol) if symbol else []
    if symbol is None or not days:
        _tell_missing(st.session_state.get("asked_symbol", symbol), held)
        return None
    day = _day(days)
    model = _model(lake, symbol, day)
    if (asked := st.session_state.get("asked_day")) is not None:
        _tell_no_session(asked, symbol, days, day)
        return None
    for name, chosen in {"symbol": symbol, "date": str(day), "model": model}.items():
        if st.query_params.get(name) != chosen:
            st.query_params[name] = chosen
    return Choice(settings=settings, lake=lake, symbol=symbol, day=day, model=model, days=days)


def _symbol(held: Sequence[str], settings: Settings) -> str | None:
    key = _WIDGETS["symbol"]
    if key not in st.session_state:
        usual = settings.default_symbol if settings.default_symbol in held else held[0]
        asked = st.query_params.get("symbol", usual).strip().upper()
        st.session_state[key] = asked if asked in held else None
        st.session_state["asked_symbol"] = asked
    if st.session_state[key] not in held:  # removed from the lake meanwhile
        st.session_state[key] = None
    return st.sidebar.selectbox("Symbol", held, key=key, placeholder="choose a symbol")


def _day(days: Sequence[date]) -> date:
    key = _WIDGETS["date"]
    if "next_day" in st.session_state:  # a step taken since the last look
        st.session_state[key] = st.session_state.pop("next_day")
    if key not in st.session_state:
        asked = st.query_params.get("date", str(days[-1])).strip()
        st.session_state[key] = _read_day(asked, days)
    elif st.session_state[key] not in days:  # of another symbol
        st.session_state[key] = _nearest(st.session_state[key], days)
    with st.sidebar:
        if len(days) == 1:
            st.markdown(f"Session  \n**{days[0]}**")
            return days[0]
        chosen = st.select_slider("Session", days, key=key, on_change=_forget_asked)
        _steps(days, chosen)
    return chosen


def _steps(days: Sequence[date], chosen: date) -> None:
    place = days.index(chosen)
    row = st.container(horizontal=True, gap="small")
    row.button(
        "", icon=":material/chevron_left:", key="back", width="stretch", shortcut="Left",
        help="One session back", disabled=place == 0, on_click=_step, args=(days, place - 1),
    )  # fmt: skip
    row.button(
        "", icon=":material/chevron_right:", key="forth", width="stretch", shortcut="Right",
        help="One session on", disabled=place == len(days) - 1, on_click=_step,
        args=(days, place + 1),
    )  # fmt: skip
    is_playing = st.toggle("Play", key="is_playing", help="Step through the sessions")
    if is_playing:
        _clock(days, place)


@st.fragment(run_every=PLAY_SECONDS)
def _clock(days: Sequence[date], place: int) -> None:
    """Move on by one session at every tick but the one that starts the clock."""
    if st.session_state.get("clock_of") != place:
        st.session_state["clock_of"] = place
        return
    st.session_state["next_day"] = days[(place + 1) % len(days)]
    st.rerun()


def _step(days: Sequence[date], place: int) -> None:
    st.session_state[_WIDGETS["date"]] = days[place]
    _forget_asked()


def _forget_asked() -> None:
    st.session_state.pop("asked_day", None)


def _read_day(asked: str, days: Sequence[date]) -> date:
    """Return the session asked for, or the nearest one, remembering what was asked."""
    try:
        day = date.fromisoformat(asked)
    except ValueError:
        st.session_state["asked_day"] = asked
        return days[-1]
    if day not in days:
        st.session_state["asked_day"] = asked
    return _nearest(day, days)


def _nearest(day: date, days: Sequence[date]) -> date:
    return min(days, key=lambda there: abs((there - day).days))


def _model(lake: Lake, symbol: str, day: date) -> str:
    reads = ("fitted_surfaces",)
    models = ask(lake, model_types, symbol, (day,), reads=reads, days=[day]) or ["SVI"]
    key = _WIDGETS["model"]
    wanted = st.session_state.get(key, st.query_params.get("model", "SVI"))
    st.session_state[key] = wanted if wanted in models else models[0]
    return st.sidebar.selectbox("Model", models, key=key, disabled=len(models) == 1)


def _tell_empty(settings: Settings) -> None:
    st.info(f"There is no data yet in {settings.volsurf_home}.", icon=":material/database:")
    st.markdown("A simulated market to look at, in a minute or two:")
    st.code("volsurf demo", language="bash")
    st.markdown("Or the latest closed session of the configured source:")
    st.code(f"volsurf eod --symbol {settings.default_symbol}", language="bash")
    st.caption("Then reload this page.")


def _tell_missing(symbol: str | None, held: Sequence[str]) -> None:
    asked = "".join(c for c in symbol or "" if c.isalnum() or c == ".")[:10]
    st.warning(f"The lake holds no chain of {asked or 'that symbol'}; it holds {', '.join(held)}.")
    st.markdown("Choose one of these in the sidebar, or fetch it:")
    st.code(f"volsurf eod --symbol {asked or held[0]}", language="bash")


def _tell_no_session(asked: str, symbol: str, days: Sequence[date], nearest: date) -> None:
    try:
        day = date.fromisoformat(asked)
    except ValueError:
        st.warning("The date in the address is none: it is written YYYY-MM-DD.")
    else:
        st.warning(
            f"The lake holds no session of {symbol} on {day}; it holds {len(days)}, "
            f"{days[0]} to {days[-1]}."
        )
        st.markdown("If the exchange was open on that day, this fetches it:")
        st.code(f"volsurf backfill {symbol} --start {day} --end {day}", language="bash")
    st.button(f"Show {nearest}", on_click=_forget_asked)
