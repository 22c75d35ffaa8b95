"""Reading the terminal's CSV while it arrives: by header name, block by block.

Belongs here: bytes to a frame of typed columns. Not here: what the columns mean (`translation`).
Unknown columns are ignored, a missing one is an error, an unfinished body is a cut one.
"""

from collections.abc import Mapping

import polars as pl

from volsurf_resources.source import Unreadable

BLOCK_BYTES = 4 * 2**20
_TIME = "%Y-%m-%dT%H:%M:%S%.f"  # the fraction has 0 to 9 digits and no padding


class CutBody(Exception):
    """The body ended before its last line did; nothing of it may be used."""


class CsvAnswer:
    """One answer in the making. `columns` names what is needed, with its type.

    `pl.Date` takes YYYY-MM-DD or YYYYMMDD, `pl.Datetime` is New York wall time without zone, as
    the vendor writes it. Text that is no number becomes null; text that is no date is Unreadable.
    """

    def __init__(self, columns: Mapping[str, pl.DataType], subject: str) -> None:
        self._columns = columns
        self._subject = subject
        self._header: list[str] = []
        self._rest = b""
        self._blocks: list[pl.DataFrame] = []

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self._rest += chunk
        if len(self._rest) >= BLOCK_BYTES:
            whole, _, self._rest = self._rest.rpartition(b"\n")
            self._take(_lines(whole))

    def finish(self) -> pl.DataFrame:
        """Return all rows; CutBody if the last line is not whole."""
        is_ended = self._rest.endswith(b"\n")
        lines = _lines(self._rest)
        if not self._header and not lines:
            raise CutBody(f"{self._subject} answered an empty body")
        last = lines[-1] if lines else b""
        if self._header or len(lines) > 1:
            width = len(self._header) or lines[0].count(b",") + 1
            if lines and not is_ended and last.count(b",") + 1 < width:
                raise CutBody(f"{self._subject} ended in the middle of a line: {last!r}")
        self._take(lines)
        return pl.concat(self._blocks) if self._blocks else empty(self._columns)

    def _take(self, lines: list[bytes]) -> None:
        if not self._header and lines:
            self._header = self._read_header(lines.pop(0))
        if not lines:
            return
        commas = len(self._header) - 1
        if odd := next((line for line in lines if line.count(b",") != commas), None):
            raise Unreadable(
                f"{self._subject} needs {commas + 1} fields in every line, was {odd[:200]!r}"
            )
        text = pl.read_csv(b"\n".join(lines), has_header=False, infer_schema=False, quote_char=None)
        self._blocks.append(self._typed(text))

    def _read_header(self, line: bytes) -> list[str]:
        header = [name.strip() for name in line.decode("utf-8-sig", "replace").split(",")]
        if line.lstrip()[:1] in (b"<", b"{", b"["):
            raise Unreadable(
                f"{self._subject} needs a CSV header, was {line[:60]!r}: is another program "
                "listening at THETA_API_URL?"
            )
        if missing := [name for name in self._columns if name not in header]:
            raise Unreadable(f"{self._subject} lacks the columns {missing}, has {header}")
        return header

    def _typed(self, text: pl.DataFrame) -> pl.DataFrame:
        text = text.select(
            pl.nth(self._header.index(name)).str.strip_chars().alias(name) for name in self._columns
        )
        typed = text.select(_parsed(name, dtype) for name, dtype in self._columns.items())
        for name, dtype in self._columns.items():
            if dtype.is_temporal():
                odd = text[name].filter(typed[name].is_null() & (text[name] != ""))
                if odd.len():
                    raise Unreadable(f"{self._subject} needs dates in {name}, was {odd[0]!r}")
        return typed


def empty(columns: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Return no rows, in the types that an answer would have."""
    return pl.DataFrame(schema=dict(columns))


def _lines(body: bytes) -> list[bytes]:
    return [line for line in body.replace(b"\r", b"").split(b"\n") if line.strip()]


def _parsed(name: str, dtype: pl.DataType) -> pl.Expr:
    text = pl.col(name)
    if dtype == pl.Date:
        return pl.coalesce(
            text.str.to_date("%Y-%m-%d", strict=False), text.str.to_date("%Y%m%d", strict=False)
        )
    if dtype == pl.Datetime:
        return text.str.to_datetime(_TIME, strict=False, time_unit="us")
    value = text.cast(dtype, strict=False)
    return pl.when(value.is_finite()).then(value) if dtype == pl.Float64 else value
