"""Files as tables of raw cells: CSV, text, zip of CSV, Parquet, with normalised headers.

Belongs here: finding files and opening them, and what can be wrong with one before its columns
mean anything. Not here: what the columns mean.
"""

import csv
import gzip
import zipfile
import zlib
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

import polars as pl

from volsurf_resources.archive.mapping import normalised
from volsurf_resources.source import Unreadable

_TEXT = (".csv", ".txt", ".tsv", ".csv.gz")
_KNOWN = (*_TEXT, ".zip", ".parquet")
_HEAD_BYTES = 1 << 16


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """One readable table of a folder: a file, or a member of a zip."""

    path: Path
    member: str = ""

    @property
    def name(self) -> str:
        """Short name, for globs and for what a name says."""
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


def header_of(part: Part, separator: str) -> frozenset[str]:
    """Return the normalised column names of a part, reading as little of it as possible.

    Raises `Unreadable` for an empty file and for a web page in place of data.
    """
    return _header(part, part.fingerprint, separator)


@cache
def _header(part: Part, fingerprint: tuple[int, int], separator: str) -> frozenset[str]:
    if _is_parquet(part):
        names = _opened(pl.scan_parquet(part.path), part).collect_schema().names()
    else:
        start = _head(part).lstrip(b"\xef\xbb\xbf \r\n\t")
        if not start:
            raise Unreadable(f"{part} is empty")
        if start.startswith(b"<"):
            raise Unreadable(f"{part} is a web page (HTML or XML), not a table: download it again")
        names = _fields(start.split(b"\n")[0], separator)
    return frozenset(normalised(name) for name in names)


def open_part(part: Part, separator: str) -> pl.LazyFrame:
    """Return the raw cells of a part, headers normalised; text stays text.

    Raises `Unreadable` for a damaged file and for one that ends in the middle of a line.
    """
    header_of(part, separator)
    if _is_parquet(part):
        return _opened(pl.scan_parquet(part.path), part)
    content = _content(part)
    _refuse_cut_end(part, content, separator)
    frame = pl.scan_csv(
        content if isinstance(content, Path) else BytesIO(content),
        separator=separator,
        infer_schema=False,
        encoding="utf8-lossy",
    )
    return _opened(frame, part)


def _is_parquet(part: Part) -> bool:
    return part.path.suffix.casefold() == ".parquet"


def _is_packed(part: Part) -> bool:
    return part.path.suffix.casefold() == ".gz"


def _head(part: Part) -> bytes:
    """First bytes of a text, unpacked."""
    try:
        if part.member:
            with zipfile.ZipFile(part.path) as archive, archive.open(part.member) as file:
                return file.read(_HEAD_BYTES)
        with part.path.open("rb") as file:
            if _is_packed(part):
                return gzip.open(file).read(_HEAD_BYTES)
            return file.read(_HEAD_BYTES)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError) as error:
        raise Unreadable(f"{part} is damaged: {error}") from None


def _content(part: Part) -> bytes | Path:
    """The whole text unpacked, or the path of one that need not be."""
    try:
        if part.member:
            with zipfile.ZipFile(part.path) as archive:
                return archive.read(part.member)
        if _is_packed(part):
            return gzip.decompress(part.path.read_bytes())
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError) as error:
        raise Unreadable(f"{part} is damaged: {error}") from None
    return part.path


def _opened(frame: pl.LazyFrame, part: Part) -> pl.LazyFrame:
    try:
        names = frame.collect_schema().names()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise Unreadable(f"{part} cannot be read: {error}") from None
    renamed = {name: normalised(name) for name in names}
    if len(set(renamed.values())) != len(names):
        raise Unreadable(f"{part} has a column twice: {sorted(names)}")
    return frame.rename(renamed)


def _refuse_cut_end(part: Part, content: bytes | Path, separator: str) -> None:
    """Without a newline at its end, a text is whole only if the last line has every field."""
    end = _end(content)
    if end.rstrip(b" \r\n\t\x1a") != end:
        return
    wanted, last = len(_fields(_head(part), separator)), len(_fields(end, separator, line=-1))
    if last < wanted:
        raise Unreadable(f"{part} ends in the middle of a line: {last} fields of {wanted}")


def _fields(text: bytes, separator: str, line: int = 0) -> list[str]:
    chosen = text.lstrip(b"\xef\xbb\xbf \r\n\t").split(b"\n")[line].decode("utf-8", "replace")
    return next(csv.reader([chosen.strip("\r")], delimiter=separator), [])


def _end(content: bytes | Path) -> bytes:
    if isinstance(content, bytes):
        return content[-_HEAD_BYTES:]
    with content.open("rb") as file:
        file.seek(max(content.stat().st_size - _HEAD_BYTES, 0))
        return file.read()
