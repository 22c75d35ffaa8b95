"""One look at a market, as the exchange answered, and the file that it replays from.

Belongs here: what is kept, how it is written and read. Not here: what it means (`translation`).
Nothing that depends on the time of reading is kept: a replay on another day is the same.

Two formats are read: our own, and the one list of instruments with their tickers that the
theta-surface program records. Decimals may be numbers or strings.
"""

import gzip
import json
import os
import uuid
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from volsurf_resources.deribit.days import label_of
from volsurf_resources.deribit.names import parse_option
from volsurf_resources.deribit.questions import Candle, Row
from volsurf_resources.source import Unreadable

FORMAT = "volsurf-deribit-1"
_LATEST_MS = 7_258_118_400_000  # the year 2200
_THEIR_TIMES = ("timestamp", "creation_timestamp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What the exchange said of one symbol at one time.

    `taken_at` is the exchange's time of the newest quote, `label` what the snapshot is called
    (HHMM in UTC). `missing` names each part that could not be had, and why: with
    any, the snapshot is partial. `candles` and `levels` (the volatility index) are hourly bars of
    the past, where they were asked for. One that `is_simulated` was said by no exchange.
    """

    symbol: str
    taken_at: datetime
    label: str
    summaries: list[Row]
    instruments: list[Row]
    tickers: list[Row]
    index_price: float | str | None = None
    is_testnet: bool = False
    is_simulated: bool = False
    clock_offset_s: float | None = None
    missing: tuple[str, ...] = ()
    candles: tuple[Candle, ...] = ()
    levels: tuple[Candle, ...] = ()

    @property
    def is_partial(self) -> bool:
        """Whether something could not be had."""
        return bool(self.missing)

    def save(self, path: Path, *, replace: bool = True) -> bool:
        """Write one file (gzip if it ends in .gz), whole or not at all.

        Without `replace`, an existing file stays, whoever wrote it, and False is returned.
        """
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        content = {"format": FORMAT, **own, "taken_at": _ms(self.taken_at)}
        body = json.dumps(content, separators=(",", ":")).encode()
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
        try:
            draft.write_bytes(gzip.compress(body, 6, mtime=0) if path.suffix == ".gz" else body)
            if replace:
                draft.replace(path)
            else:
                os.link(draft, path)
        except FileExistsError:
            return False
        finally:
            draft.unlink(missing_ok=True)
        return True

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file of either format; Unreadable, with its name, if it is neither."""
        try:
            body = path.read_bytes()
            content = json.loads(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
        except (OSError, EOFError, ValueError) as error:
            raise Unreadable(f"{path} is no whole snapshot: {error}") from error
        try:
            return cls.of_answers(content)
        except (KeyError, TypeError, ValueError) as error:
            raise Unreadable(f"{path} is no snapshot of Deribit: {error!r}") from error

    @classmethod
    def of_answers(cls, content: dict[str, Any]) -> Self:
        """Return the snapshot in the content of a file of either format."""
        if "options" in content:
            return cls._of_theta_surface(content["options"])
        if content["format"] != FORMAT:
            raise ValueError(f"the format {content['format']!r} is not {FORMAT!r}")
        own = {field.name: content[field.name] for field in fields(cls) if field.name in content}
        for name in ("missing", "candles", "levels"):
            own[name] = tuple(own.get(name, ()))
        return cls(**own | {"taken_at": datetime.fromtimestamp(content["taken_at"] / 1000.0, UTC)})

    @classmethod
    def _of_theta_surface(cls, options: list[Row]) -> Self:
        """Instruments, each with its ticker; the index was written over with one value."""
        tickers = [row["ticker_data"] for row in options]
        terms = [{k: v for k, v in row.items() if k != "ticker_data"} for row in options]
        named = [parse_option(row["instrument_name"]) for row in options]
        symbols = [option.root for option in named if option is not None]
        if not symbols:
            raise ValueError("none of its instruments is an option")
        taken_at = time_of(tickers)
        return cls(
            symbol=symbols[0],
            taken_at=taken_at,
            label=label_of(taken_at),
            summaries=[],
            instruments=terms,
            tickers=tickers,
            index_price=tickers[0].get("index_price"),
        )


def time_of(rows: list[Row]) -> datetime:
    """Return the time of the newest row; Unreadable if none tells one."""
    told = [at for row in rows for name in _THEIR_TIMES if (at := instant(row.get(name)))]
    if not told:
        raise Unreadable("quotes need timestamp or creation_timestamp, none has one")
    return max(told)


def instant(ms: object) -> datetime | None:
    """Return a time told in milliseconds since 1970; None for what is no such time."""
    if isinstance(ms, int) and 0 < ms < _LATEST_MS:
        return datetime.fromtimestamp(ms / 1000.0, UTC)
    return None


def _ms(at: datetime) -> int:
    return round(1000.0 * at.timestamp())
