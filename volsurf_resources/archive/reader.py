"""Files as tables of raw cells: CSV, text, zip of CSV, Parquet, with normalised headers.

Belongs here: finding files and opening them, and what can be wrong with one before its columns
mean anything. Not here: what the columns mean.
"""

import csv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import polars as pl

from volsurf_resources.archive.mapping import normalised
from volsurf_resources.source import Unreadable

_TEXT = (".csv", ".txt", ".tsv", ".csv.gz")
_KNOWN = (*_TEXT, ".zip", ".parquet")
_SNIFFED_BYTES = 1 << 16


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """One readable table of a folder: a file, or a member of a zip."""

    path: Path
    member: str = ""

    @property
    def name(self) -> str:
        """Short name for messages and for globs."""
        return self.member.rsplit("/", 1)[-1] or self.path.name

    def __str__(self) -> str:
        """File, and the member in it."""
        return f"{self.path.name}:{self.member}" if self.member else self.path.name

    @property
    def fingerprint(self) -> tuple[int, int]:
        """Size and time of change of the file; a new one means new content."""
        stat = self.path.stat()
        return stat.st_size, stat.st_mtime_ns


def data_files(folder: Path) -> list[Path]:
    """Return the files of a folder and its subfolders that could hold data, in order."""
    if not folder.is_dir():
        raise Unreadable(f"the archive folder {folder} does not exist")
    return sorted(
        path
        for path in folder.rglob("*")
        if path.name.casefold().endswith(_KNOWN) and path.is_file()
    )


def parts_of(path: Path) -> list[Part]:
    """Return the tables in a file; `Unreadable` for a zip that is cut or is none."""
    if path.suffix.casefold() != ".zip":
        return [Part(path)]
    try:
        with zipfile.ZipFile(path) as archive:
            members = [name for name in archive.namelist() if name.casefold().endswith(_TEXT)]
    except zipfile.BadZipFile as error:
        raise Unreadable(f"{path.name} is cut short or is no zip: {error}") from None
    return [Part(path, member) for member in sorted(members)]


def open_part(part: Part, separator: str) -> pl.LazyFrame:
    """Return the raw cells of a part, headers normalised; text stays text.

    Raises `Unreadable` for an empty or cut file and for a web page in place of data.
    """
    if part.path.suffix.casefold() == ".parquet":
        return _with_normalised_names(pl.scan_parquet(part.path), part)
    source = _member(part) if part.member else part.path
    if part.path.name.casefold().endswith(".gz"):
        import gzip

        source = gzip.decompress(part.path.read_bytes())
    _refuse_broken_text(part, source, separator)
    frame = pl.scan_csv(
        BytesIO(source) if isinstance(source, bytes) else source,
        separator=separator,
        infer_schema=False,
        encoding="utf8-lossy",
    )
    return _with_normalised_names(frame, part)


def _member(part: Part) -> bytes:
    try:
        with zipfile.ZipFile(part.path) as archive:
            return archive.read(part.member)
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise Unreadable(f"{part} is damaged: {error}") from None


def _with_normalised_names(frame: pl.LazyFrame, part: Part) -> pl.LazyFrame:
    try:
        names = frame.collect_schema().names()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise Unreadable(f"{part} cannot be read: {error}") from None
    renamed = {name: normalised(name) for name in names}
    if len(set(renamed.values())) != len(names):
        raise Unreadable(f"{part} has a column twice: {names}")
    return frame.rename(renamed)


def _refuse_broken_text(part: Part, source: bytes | Path, separator: str) -> None:
    head, tail = _ends(source)
    start = head.lstrip(b"\xef\xbb\xbf \r\n\t")
    if not start:
        raise Unreadable(f"{part} is empty")
    if start.startswith(b"<"):
        raise Unreadable(f"{part} is a web page (HTML or XML), not a table: download it again")
    lines = tail.rstrip(b" \r\n\t\x1a") == tail and tail.split(b"\n")
    if lines:  # no newline at the end: whole only if the last line has every field
        header, last = (len(row) for row in _rows(separator, start.split(b"\n")[0], lines[-1]))
        if last < header:
            raise Unreadable(f"{part} ends in the middle of a line: {last} fields of {header}")


def _rows(separator: str, *lines: bytes) -> Iterator[list[str]]:
    return csv.reader((line.decode("utf-8", "replace") for line in lines), delimiter=separator)


def _ends(source: bytes | Path) -> tuple[bytes, bytes]:
    if isinstance(source, bytes):
        return source[:_SNIFFED_BYTES], source[-_SNIFFED_BYTES:]
    with source.open("rb") as file:
        head = file.read(_SNIFFED_BYTES)
        file.seek(max(source.stat().st_size - _SNIFFED_BYTES, 0))
        return head, file.read()
