"""One session computed again beside the lake: the ground of replays and of look-ahead proofs.

Belongs here: a scratch lake whose files are links to the real ones, and the comparison of what is
recomputed there with what is stored. The lake itself is only read.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from volsurf_assets.recipe import Recipe
from volsurf_resources.lake import Lake
from volsurf_resources.settings import Settings
from volsurf_tables.table import Table


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that is stored and does not come out again; `column` is empty for a whole row."""

    table: str
    day: date
    key: str
    column: str
    stored: str
    recomputed: str


@contextmanager
def scratch_lake(lake: Lake, until: date | None = None) -> Iterator[Lake]:
    """Open a lake of links to every partition, or to those dated up to `until`."""
    with TemporaryDirectory(prefix="volsurf-") as folder:
        root = Path(folder) / "lake"
        for table in lake.tables:
            (root / table.name).mkdir(parents=True)
            for day in lake.days(table.name):
                if until is None or day <= until:
                    path = lake.path(table.name, day)
                    (root / table.name / path.name).symlink_to(path.resolve())
        history = Path(folder) / "history"
        yield Lake(root, history=history, calendar=lake.calendar, tables=lake.tables)


def recompute(
    lake: Lake, scratch: Lake, recipes: Sequence[Recipe], settings: Settings, day: date
) -> Iterator[Difference]:
    """Compute every stored table of a session again in the scratch lake, upstream first.

    Yields what differs from the lake. Tables that the lake lacks on that day are left out.
    """
    for recipe in recipes:
        table = recipe.table
        if lake.footer(table.name, day) is None:
            continue
        scratch.path(table.name, day).unlink(missing_ok=True)
        made = recipe.make(recipe.session(scratch, settings, day))
        if made.content_hash != lake.content_hash(table.name, day):
            yield from differences(
                table, day, *(of.read(table.name, [day], snapshot=None) for of in (lake, scratch))
            )


def differences(
    table: Table, day: date, stored: pl.DataFrame, recomputed: pl.DataFrame
) -> Iterator[Difference]:
    """Yield the values in which two versions of a partition differ, and the rows of one only."""
    for only, rows in (
        ("stored", stored.join(recomputed, on=table.key, how="anti", nulls_equal=True)),
        ("recomputed", recomputed.join(stored, on=table.key, how="anti", nulls_equal=True)),
    ):
        for row in rows.select(table.key).iter_rows():
            there = {"stored": "", "recomputed": ""} | {only: "a row"}
            yield Difference(table.name, day, _text(row), "", **there)
    both = stored.join(recomputed, on=table.key, suffix="__again", nulls_equal=True)
    for column in table.columns:
        if column.name in table.key or column.is_provenance:
            continue
        again = f"{column.name}__again"
        changed = both.filter(~pl.col(column.name).eq_missing(pl.col(again)))
        for row in changed.select(*table.key, column.name, again).iter_rows():
            key = _text(row[:-2])
            yield Difference(table.name, day, key, column.name, repr(row[-2]), repr(row[-1]))


def _text(key: Iterable[object]) -> str:
    return " ".join(str(part) for part in key)
