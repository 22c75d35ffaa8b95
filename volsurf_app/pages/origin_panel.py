"""The way from a page's numbers to what they come from.

Belongs here: showing what `queries.why` and `queries.origins` tell. Not here: finding it.
"""

from dataclasses import asdict
from datetime import date
from typing import Any

import polars as pl
import streamlit as st

from volsurf_app.pages.choice import Choice
from volsurf_app.pages.panels import number, percent, price_unit, table
from volsurf_app.queries.evolution import PARAMETERS_OF, told_parameters
from volsurf_app.queries.origins import origins
from volsurf_app.queries.why import SmileOrigin, why
from volsurf_app.questions import When
from volsurf_resources.calendars import END_OF_DAY

_FILES = {
    "table": ("table", None),
    "quote_date": ("session", None),
    "rows": ("rows", "%,d"),
    "content_hash": ("content hash", None),
    "is_unchanged": ("still what was read", None),
    "known_at": ("written, UTC", None),
    "source": ("source", None),
    "code_version": ("code", None),
    "run_id": ("run", None),
}


def why_smile(choice: Choice, root: str, expiry: date) -> None:
    """Offer the quotes, verdicts, forward, fit and files behind one smile."""
    panel = st.expander("Why these numbers", on_change="rerun", key="why_smile")
    if not panel.open:
        return
    with panel:
        told = why(
            choice.symbol, When(expiry=expiry, root=root), on=choice.day, lake=choice.lake,
            model=choice.model, snapshot=choice.snapshot,
        )  # fmt: skip
        for smile in told.smiles:
            _smile(choice, smile)
        _files([asdict(origin) for origin in told.origins])
        st.caption("The same in a terminal:")
        st.code(_command(choice, root, expiry), language="bash")


def _command(choice: Choice, root: str, expiry: date) -> str:
    words = f"volsurf why {choice.symbol} --expiry {expiry} --root {root} --date {choice.day}"
    words += f" --model {choice.model.lower()}"
    if choice.snapshot != END_OF_DAY:
        words += f" --snapshot {choice.snapshot}"
    if (at := choice.lake.known_at) is not None:
        words += f" --known-at {at:%Y-%m-%dT%H:%M:%SZ}"
    return words


def why_table(choice: Choice, *tables: str) -> None:
    """Offer the partitions behind a page, and what they were computed from."""
    panel = st.expander("Why these numbers", on_change="rerun", key=f"why_{tables[0]}")
    if not panel.open:
        return
    with panel:
        found = [asdict(one) for name in tables for one in origins(choice.lake, name, choice.day)]
        st.caption(
            f"The partitions of {choice.day} that this page reads, and those they were computed "
            "from, nearest first. A span of sessions is a window of the past."
        )
        _files(found)


def _smile(choice: Choice, smile: SmileOrigin) -> None:
    verdicts = dict(smile.quotes["verdict"].value_counts().rows())
    told = ", ".join(f"{n:,} {word.replace('_', ' ')}" for word, n in sorted(verdicts.items()))
    st.markdown(f"**Quotes** of {smile.quote_date}: {told}")
    unit = price_unit(choice)
    digits = "%.2f" if unit == "USD" else "%.4f"
    columns = {
        "contract_id": ("contract", None),
        "strike": ("strike, USD", "%,.2f"),
        "option_type": ("type", None),
        "bid": (f"bid, {unit}", digits),
        "ask": (f"ask, {unit}", digits),
        "iv_mid": ("vol of mid", "percent"),
        "model_vol": ("fitted vol", "percent"),
        "error_vol_points": ("fit − mid, vol points", "%.3f"),
        "verdict": ("verdict", None),
        "reject_reason": ("rules broken", None),
    }
    used_first = smile.quotes.sort(pl.col("verdict") != "used", maintain_order=True)
    table(used_first, columns, key="why_quotes")
    forward = smile.forward
    if forward:
        st.markdown(
            f"**Forward** {number(forward['forward'], 4)} USD ± "
            f"{number(forward['forward_std_error'], 4)} by {forward['method']}, "
            f"{forward['n_pairs'] or 0} put-call pairs, {forward['n_left_out'] or 0} left out; "
            f"rate {percent(forward['implied_rate'])} a year, continuous"
        )
    told = ", ".join(f"{name} = {value:,.6g}" for name, value in _parameters(choice, smile).items())
    version = smile.fit.get("model_version")
    by = f" by version {version}" if version else ""
    st.markdown(f"**Fit** of {choice.model}, {smile.fit['status']}{by}: {told}")


def _parameters(choice: Choice, smile: SmileOrigin) -> dict[str, float]:
    if (names := PARAMETERS_OF.get(choice.model)) is None:
        return told_parameters(smile.fit["parameters"])
    return {name.removeprefix("svi_"): smile.fit[name] for name in names}


def _files(found: list[dict[str, object]]) -> None:
    if not found:
        st.caption("Nothing is stored for this session.")
        return
    schema: dict[str, Any] = {name: pl.String for name in _FILES} | {
        "rows": pl.Int64, "is_unchanged": pl.Boolean, "known_at": pl.Datetime("us", "UTC")
    }  # fmt: skip
    st.markdown("**Files**")
    rows = pl.DataFrame(found, schema_overrides=schema).unique(maintain_order=True)
    short = [pl.col(name).str.slice(0, 12) for name in ("content_hash", "run_id")]
    table(rows.with_columns(short), _FILES, "why_files")
