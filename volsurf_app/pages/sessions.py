"""The session that is looked at: slider, steps, play; and following the newest one.

Belongs here: how a reader moves through sessions. Not here: what a session shows.
"""

from collections.abc import Sequence
from datetime import date

import streamlit as st

PLAY_SECONDS = 0.9
WIDGET = "chosen_day"
_NEWEST = "newest_day"


def choose_day(symbol: str, days: Sequence[date]) -> date:
    """Draw slider and steps; return the session chosen. Who looks at the newest follows it."""
    if "next_day" in st.session_state:  # a step taken since the last look
        st.session_state[WIDGET] = st.session_state.pop("next_day")
    of, newest = st.session_state.get(_NEWEST, (symbol, days[-1]))
    st.session_state[_NEWEST] = (symbol, days[-1])
    if WIDGET not in st.session_state:
        st.session_state[WIDGET] = _read_day(st.query_params.get("date", str(days[-1])), days)
    elif st.session_state[WIDGET] == newest and (of != symbol or days[-1] > newest):
        st.session_state[WIDGET] = days[-1]
        if of == symbol:
            st.toast(f"{symbol}: new session {days[-1]}", icon=":material/update:")
    elif st.session_state[WIDGET] not in days:  # of another symbol
        st.session_state[WIDGET] = _nearest(st.session_state[WIDGET], days)
    if len(days) == 1:
        st.markdown(f"Session  \n**{days[0]}**")
        return days[0]
    chosen = st.select_slider("Session", days, key=WIDGET, on_change=forget_asked)
    _steps(days, chosen)
    return chosen


def forget_asked() -> None:
    """Forget the date in the address that the lake does not hold."""
    st.session_state.pop("asked_day", None)


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
    st.session_state[WIDGET] = days[place]
    forget_asked()


def _read_day(asked: str, days: Sequence[date]) -> date:
    """Return the session asked for, or the nearest one, remembering what was asked."""
    try:
        day = date.fromisoformat(asked.strip())
    except ValueError:
        st.session_state["asked_day"] = asked
        return days[-1]
    if day not in days:
        st.session_state["asked_day"] = asked
    return _nearest(day, days)


def _nearest(day: date, days: Sequence[date]) -> date:
    return min(days, key=lambda there: abs((there - day).days))
