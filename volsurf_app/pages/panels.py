"""What stands around every picture: heading, caption, downloads, the way to its numbers.

Belongs here: parts that several pages share. Not here: any particular page.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from volsurf_app import queries
from volsurf_app.pages.choice import Choice
from volsurf_app.pages.drawing import draw_figure
from volsurf_app.plots.style import Figure

if TYPE_CHECKING:
    import polars as pl


_LETTER_WIDTH = 8  # px
_NUMBER_WIDTH = 150  # px: two stand side by side on a phone


def heading(title: str, of: str, told: str) -> None:
    """Write the page's title, of what it is (`subtitle`), and what came of it."""
    st.subheader(title, anchor=False)
    st.caption(" · ".join(word for word in (of, told) if word))


def subtitle(choice: Choice) -> str:
    """Return what stands under a picture's title: symbol, session, snapshot, model."""
    return f"{choice.symbol} · {choice.day} · {choice.time} · {choice.model}"


def price_unit(choice: Choice) -> str:
    """Return what bid and ask are in; the funds' chains need not be read for it."""
    if choice.settings.volsurf_market == "us":
        return "USD"
    return queries.price_unit(choice.lake, choice.symbol, choice.day)


def picture(
    choice: Choice, figure: Figure, frame: "pl.DataFrame", topic: str, alt: str, of: str = ""
) -> None:
    """Show a figure, and offer its numbers and itself for download.

    `topic` is the picture's name on its page, the same from session to session; `of` what else
    belongs in the name of its files.
    """
    draw_figure(figure, f"picture_{topic}", _file(choice, topic, of), alt)
    downloads(choice, frame, topic, figure, of)


def downloads(
    choice: Choice, frame: "pl.DataFrame", topic: str, figure: Figure | None = None, of: str = ""
) -> None:
    """Offer a frame as CSV and JSON, and its picture as a page of its own."""
    look: dict[str, Any] = {"type": "tertiary", "icon": ":material/download:"}
    with st.container(horizontal=True, horizontal_alignment="right"):
        panel = st.popover("Download", key=f"download_{topic}", on_change="rerun", **look)
    if not panel.open:
        return
    files: dict[str, tuple[str, Any]] = {
        "CSV": ("text/csv", frame.write_csv),
        "JSON": ("application/json", frame.write_json),
    }
    if figure is not None:
        files["HTML"] = ("text/html", figure.html)
    name = _file(choice, topic, of)
    with panel:
        for kind, (mime, made) in files.items():
            st.download_button(
                kind, made, f"{name}.{kind.lower()}", mime, key=f"{kind}_{topic}", on_click="ignore"
            )
        if figure is not None:
            st.caption("PNG: the camera in the picture's corner.")


def figures_of(numbers: Mapping[str, tuple[str, str]]) -> None:
    """Show a row of numbers: label -> (value, what it is)."""
    row = st.container(horizontal=True, gap="small")
    for label, (value, meaning) in numbers.items():
        row.metric(label, value, help=meaning, width=_NUMBER_WIDTH)


def table(frame: "pl.DataFrame", shown: Mapping[str, tuple[str, str | None]], key: str) -> None:
    """Show columns of a frame under headings that name their units: column -> heading, format."""
    columns = {name: _column(frame, name, *words) for name, words in shown.items()}
    st.dataframe(
        frame.select(list(shown)),
        hide_index=True,
        column_config=columns,
        key=key,
        width="stretch",
        placeholder="–",
    )


def _column(frame: "pl.DataFrame", name: str, title: str, shape: str | None) -> Any:
    dtype = frame.schema[name]
    if shape is not None:
        return st.column_config.NumberColumn(title, format=shape)
    if dtype.is_temporal():
        is_day = str(dtype) == "Date"
        shape = "YYYY-MM-DD" if is_day else "YYYY-MM-DD HH:mm:ss"
        kind = st.column_config.DateColumn if is_day else st.column_config.DatetimeColumn
        return kind(title, format=shape)
    longest = max((len(str(value)) for value in frame[name]), default=0)
    return st.column_config.Column(title, width=_LETTER_WIDTH * max(longest, len(title)) + 20)


def percent(value: float | None, digits: int = 2) -> str:
    """Show a decimal in percent; a null as a dash."""
    return "–" if value is None else f"{round(100.0 * value, digits) + 0.0:.{digits}f} %"


def number(value: float | None, digits: int = 2, unit: str = "", sign: str = "") -> str:
    """Show a number with thousands separated; a null as a dash. `sign` + also shows a plus."""
    return "–" if value is None else f"{value:{sign},.{digits}f}{unit}"


def counted(words: Sequence[tuple[int, str]]) -> str:
    """Say how many there are of each kind, leaving out kinds without any."""
    return ", ".join(f"{n:,} {word}" for n, word in words if n)


def in_sessions(n: int) -> str:
    """Say how many sessions there are."""
    return f"{n:,} session{'' if n == 1 else 's'}"


def _file(choice: Choice, topic: str, of: str) -> str:
    return "_".join(word for word in (choice.symbol, str(choice.day), topic, of) if word)
