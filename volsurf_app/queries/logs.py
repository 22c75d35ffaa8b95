"""What the log tells: calls to the vendor, the last run."""

import json
from pathlib import Path

import polars as pl

from volsurf_resources.logbook import daily_paths


def api_calls(log: Path) -> pl.DataFrame:
    """Return calls to the vendor by day and status, as the log tells: calls, rows, median ms."""
    lines = [line for path in daily_paths(log) for line in path.read_text().splitlines()]
    told = pl.DataFrame({"line": lines}, schema={"line": pl.String})
    told = told.filter(pl.col("line").str.contains('"volsurf.theta"', literal=True))
    found = told.select(
        day=pl.col("line").str.extract(r'"time": "(\d{4}-\d{2}-\d{2})'),
        status=pl.col("line").str.extract(r"GET \S+ status=(\S+) "),
        ms=pl.col("line").str.extract(r" ms=(\d+) ").cast(pl.Float64),
        rows=pl.col("line").str.extract(r' rows=(\d+)"').cast(pl.Int64),
    )
    counted = found.drop_nulls("status").group_by("day", "status")
    return counted.agg(
        calls=pl.len(), rows=pl.col("rows").sum(), median_ms=pl.col("ms").median()
    ).sort("day", "status")


def last_run(log: Path) -> tuple[str, str] | None:
    """Return when the last run ended and what came of it, as the log tells; None if it does not."""
    for path in reversed(daily_paths(log)):
        for line in reversed(path.read_text().splitlines()):
            if '"volsurf.runs"' in line:
                told = json.loads(line)
                return told["time"][:19].replace("T", " "), told["message"]
    return None
