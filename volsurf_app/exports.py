"""Frames written for other programs: CSV, JSON, Parquet.

Belongs here: formats and how a file comes to be, whole or not at all. Not here: which rows.
"""

from pathlib import Path
from typing import Literal, get_args

import polars as pl

Format = Literal["csv", "json", "parquet"]
FORMATS: tuple[str, ...] = get_args(Format)


def as_text(frame: pl.DataFrame, form: Format) -> str:
    """Return a frame as CSV, or as JSON: a list of rows, dates in ISO 8601, no value as null."""
    if form == "parquet":
        raise ValueError("text is csv or json, was parquet")
    return frame.write_csv() if form == "csv" else f"{frame.write_json()}\n"


def write_frame(frame: pl.DataFrame, path: Path, form: Format) -> Path:
    """Write a frame to a file that appears complete, in place of one that is there; return it."""
    hidden = path.with_name(f".{path.name}.tmp")
    try:
        if form == "parquet":
            frame.write_parquet(hidden)
        else:
            hidden.write_text(as_text(frame, form), encoding="utf-8")
        return hidden.replace(path)
    finally:
        hidden.unlink(missing_ok=True)


def format_of(path: Path) -> Format | None:
    """Return the format that a file's name ends with; None if it is none of ours."""
    suffix = path.suffix.removeprefix(".").lower()
    return suffix if suffix in FORMATS else None  # type: ignore[return-value]
