"""What a page says when there is nothing to show, and the command that changes it.

Belongs here: words. Not here: finding out what there is.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

import streamlit as st

from volsurf_resources.settings import Settings

if TYPE_CHECKING:
    from volsurf_app.pages.choice import Choice

_MOST_DAYS = 8  # that are named one by one


def tell_empty(settings: Settings) -> None:
    """Say that the home holds nothing yet."""
    st.info(f"There is no data yet in {settings.volsurf_home}.", icon=":material/database:")
    st.markdown("A simulated market to look at, in a minute or two:")
    st.code("volsurf demo", language="bash")
    st.markdown("Or the latest closed session of the configured source:")
    st.code(f"volsurf eod --symbol {settings.default_symbol}", language="bash")
    st.markdown("Or what coins trade at just now, asked of the exchange; no account is needed:")
    coin = settings.crypto_symbols[0]
    st.code(f"volsurf crypto fetch {coin}\nvolsurf crypto build {coin}", language="bash")
    st.markdown("Or simulated coins, with no network:")
    st.code(f"volsurf crypto demo {coin}", language="bash")
    st.caption("The page looks again by itself.")


def tell_missing(symbol: str | None, held: Collection[str], settings: Settings) -> None:
    """Say that a symbol is not stored."""
    asked = "".join(c for c in symbol or "" if c.isalnum() or c in "._")[:15]
    st.warning(f"The lake holds no chain of {asked or 'that symbol'}; it holds {', '.join(held)}.")
    st.markdown("Choose one of these in the sidebar, or fetch it:")
    own = settings.for_market(settings.market_of(asked or next(iter(held))))
    st.code(fetching(own, asked or next(iter(held))), language="bash")


def tell_unknown(symbol: str, known_at: datetime, first: datetime) -> None:
    """Say that nothing of a symbol was known at a time."""
    st.warning(
        f"No chain of {symbol} was known at {known_at:%Y-%m-%d %H:%M} UTC; the first one became "
        f"known at {first:%Y-%m-%d %H:%M:%S} UTC. Choose a later time, or none, in the sidebar."
    )


def tell_no_session(
    asked: str, settings: Settings, symbol: str, days: Sequence[date],
    nearest: date, forget: Callable[[], None],
) -> None:  # fmt: skip
    """Say that the session in the address is not stored, and offer the nearest one."""
    try:
        day = date.fromisoformat(asked)
    except ValueError:
        st.warning("The date in the address is none: it is written YYYY-MM-DD.")
    else:
        st.warning(
            f"The lake holds no session of {symbol} on {day}; it holds {len(days)}, "
            f"{days[0]} to {days[-1]}."
        )
        st.markdown(_IF_THERE_WAS[settings.volsurf_market])
        st.code(filling(settings, symbol, day, day), language="bash")
    st.button(f"Show {nearest}", on_click=forget)


def tell_unfitted(choice: "Choice", missing: str) -> None:
    """Say that a stored chain has no surface of a model, or had none at the time chosen."""
    if (at := choice.lake.known_at) is not None:
        st.warning(
            f"No {choice.model} surface of {choice.symbol} on {choice.day} was known at "
            f"{at:%Y-%m-%d %H:%M} UTC. Choose a later time, or none, in the sidebar."
        )
        return
    st.warning(f"{missing[:1].upper()}{missing[1:]}.")
    st.markdown(f"The chain is stored; this fits {choice.model} to it and computes what follows:")
    st.code(computing(choice.settings, choice.symbol, choice.day), language="bash")


def fetching(settings: Settings, symbol: str) -> str:
    """Return the command that brings a symbol into the lake."""
    if settings.volsurf_market == "crypto":
        return f"volsurf crypto fetch {symbol}\nvolsurf crypto build {symbol}"
    return f"volsurf eod --symbol {symbol}"


def filling(settings: Settings, symbol: str, start: date, end: date) -> str:
    """Return the commands that bring a span of sessions into the lake."""
    if settings.volsurf_market == "crypto":
        days = settings.calendar.sessions(start, end)
        return "\n".join(computing(settings, symbol, day) for day in days[:_MOST_DAYS])
    return f"volsurf backfill {symbol} --start {start} --end {end}"


def computing(settings: Settings, symbol: str, day: date) -> str:
    """Return the command that computes what follows from a session's chain."""
    if settings.volsurf_market == "crypto":
        return f"volsurf crypto build {symbol} --date {day}"
    return f"volsurf eod --symbol {symbol} --date {day}"


_IF_THERE_WAS = {
    "us": "If the exchange was open on that day, this fetches it:",
    "crypto": "If somebody recorded that day, this builds it; else its chain cannot be had:",
}
