"""A folder of the user's own files as a market source.

Belongs here: answering the protocol from files. Not here: how a file is read or what it means.
"""

import json
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from volsurf_resources.archive.chains import completed, session_rows, stated_closes
from volsurf_resources.archive.curves import latest_curve
from volsurf_resources.archive.detection import mapping_for
from volsurf_resources.archive.holdings import (
    Claim,
    Claims,
    Problem,
    Sessions,
    claim_files,
    may_hold,
    sessions_in,
)
from volsurf_resources.archive.mapping import (
    Bars,
    Chains,
    Curves,
    Dividends,
    FileTable,
    Levels,
    Mapping,
)
from volsurf_resources.archive.reader import data_files
from volsurf_resources.archive.series import bars, rows_of
from volsurf_resources.exchange_calendar import is_session
from volsurf_resources.source import NoData, SourceError, Unreadable
from volsurf_tables.market import INDEX_LEVELS, MARKET_RATES, UNDERLYING_PRICES
from volsurf_tables.table import Table


@dataclass(frozen=True, slots=True)
class _Look:
    """The folder as it was last looked at."""

    files: dict[str, list[int]]
    mapping: Mapping
    claims: Claims


class Archive:
    """Market source over the files in `folder`, read by `mapping`.

    `mapping` is the name of a shipped mapping or the path of a TOML file; without it, that is
    `volsurf.toml` in the folder, else the shipped mappings whose columns the files have. Files
    are looked at when first asked for; what they hold is kept as long as they do not change.
    """

    def __init__(self, folder: Path, mapping: str | Path | None = None) -> None:
        self.folder = Path(folder)
        self._told = None if mapping is None else mapping_for(self.folder, mapping)
        self._seen: _Look | None = None

    @property
    def mapping(self) -> Mapping:
        """What reads the files; `Unreadable` if none was told and none fits."""
        return self._look().mapping

    @property
    def name(self) -> str:
        """Name of the mapping; archive, as long as the folder has none."""
        try:
            return self.mapping.name
        except Unreadable:
            return "archive"

    @property
    def problems(self) -> dict[str, str]:
        """Files (and members of zips) that could not be understood, and why."""
        found = self._look().claims.problems
        return {name: problem.reason for name, problem in found.items()}

    def chain(self, symbol: str, session: date) -> pl.DataFrame:
        """Return the chain of one symbol and session, from the first table that holds it.

        Raises `NoData` for a day without a session, an unknown symbol, a session that the archive
        lacks or marks as no true one; `Unreadable` if the files do not say what the mapping says.
        """
        holding = [
            (claim, sessions[symbol][session])
            for claim, sessions in self._holdings(symbol, session, session)
            if session in sessions.get(symbol, {})
        ]
        for claim, refused in holding:
            if refused:
                raise NoData(f"{symbol} {session} in {claim.part} is {refused}")
        if not is_session(session):
            raise NoData(f"{session} ({session:%A}) is no session of the exchange")
        if not holding:
            raise self._absent(symbol, session)
        best = holding[0][0].table_name
        frames = [
            session_rows(claim, symbol, session) for claim, _ in holding if claim.table_name == best
        ]
        return completed(pl.concat(frames), holding[0][0].table, symbol, session, self.name)

    def sessions(self, symbol: str, start: date, end: date) -> Sequence[date]:
        """Return the sessions of the range whose chain the archive can serve, in order."""
        return self._served(symbol, start, end)

    def underlying(self, symbol: str, start: date, end: date) -> pl.DataFrame:
        """Return daily bars as traded; where a file has only adjusted closes, the source says so.

        Dates without a bar get the underlying of the chain as close, where the mapping vouches
        for it.
        """
        claims = self._look().claims
        frame = bars(claims.of(Bars), "symbol", self.name, symbol)
        if frame.is_empty() and claims.faults_of(Bars):
            raise self._missing(Bars, f"the archive has no bars of {symbol}")
        frame = _in_schema(frame, UNDERLYING_PRICES).filter(pl.col("quote_date") >= start)
        frame = pl.concat([frame, self._closes_of_chains(symbol, start, end, frame["quote_date"])])
        splits = self.mapping.splits.get(symbol, {})
        return (
            frame.filter(pl.col("quote_date").is_between(start, end))
            .with_columns(
                dividend=pl.coalesce("dividend", _by_date(self._dividends(symbol), 0.0)),
                split_ratio=pl.coalesce("split_ratio", _by_date(splits, 1.0)),
            )
            .sort("quote_date")
        )

    def rates(self, session: date) -> pl.DataFrame:
        """Return the freshest curve that was known at the session's end, of any age."""
        rows = list(latest_curve(self._look().claims.of(Curves), session))
        if not rows:
            told = f"the archive has no rates up to {session}; {self._hint('rates')}"
            raise self._missing(Curves, told)
        frame = pl.DataFrame(rows).with_columns(quote_date=pl.lit(session), snapshot=pl.lit("EOD"))
        return _in_schema(frame, MARKET_RATES)

    def index_levels(self, start: date, end: date) -> pl.DataFrame:
        """Return daily bars of the volatility indices that the files have."""
        claims = self._look().claims
        frame = bars(claims.of(Levels), "index", self.name, None)
        if frame.is_empty() and claims.faults_of(Levels):
            raise self._missing(Levels, "the archive has no index levels")
        frame = _in_schema(frame, INDEX_LEVELS)
        return frame.filter(pl.col("quote_date").is_between(start, end)).sort("index", "quote_date")

    def new_sessions(self, since: str | None = None) -> tuple[str, dict[str, list[date]]]:
        """Return a cursor, and the sessions in files that are new or changed since the last one.

        The cursor is JSON: file -> [size, time of change].
        """
        before: dict[str, list[int]] = json.loads(since) if since else {}
        if not (now := self.fingerprints()):
            return json.dumps(now), {}
        changed = {self.folder / path for path, seen in now.items() if before.get(path) != seen}
        found: dict[str, set[date]] = {}
        for _, sessions in self._holdings(among=changed):
            for symbol, days in sessions.items():
                good = {day for day, refused in days.items() if not refused and is_session(day)}
                found.setdefault(symbol, set()).update(good)
        cursor = json.dumps(now, sort_keys=True)
        return cursor, {symbol: sorted(days) for symbol, days in found.items()}

    def fingerprints(self) -> dict[str, list[int]]:
        """Return size and time of change of every data file, by its path in the folder."""
        return {
            path.relative_to(self.folder).as_posix(): [path.stat().st_size, path.stat().st_mtime_ns]
            for path in data_files(self.folder)
        }

    def files_for(self, symbol: str, session: date) -> list[Path]:
        """Return the files that hold a session of a symbol."""
        held = self._holdings(symbol, session, session)
        return sorted({claim.part.path for claim, days in held if session in days.get(symbol, {})})

    def _look(self) -> _Look:
        files = self.fingerprints()
        if self._seen is None or self._seen.files != files:
            mapping = self._told or mapping_for(self.folder, None)
            self._seen = _Look(files, mapping, claim_files(self.folder, mapping))
        return self._seen

    def _holdings(
        self,
        symbol: str | None = None,
        start: date = date.min,
        end: date = date.max,
        among: Set[Path] | None = None,
    ) -> Iterator[tuple[Claim[Chains], Sessions]]:
        """Chain files that may hold sessions of the range, with what they hold."""
        claims = self._look().claims
        for claim in claims.of(Chains):
            if among is not None and claim.part.path not in among:
                continue
            try:
                if may_hold(claim, symbol, start, end):
                    yield claim, sessions_in(claim)
            except Unreadable as error:
                claims.problems[str(claim.part)] = Problem(str(error), (claim.table,))

    def _served(self, symbol: str, start: date, end: date) -> list[date]:
        refused: dict[date, str] = {}
        for _, sessions in self._holdings(symbol, start, end):
            for day, reason in sessions.get(symbol, {}).items():
                if start <= day <= end:
                    refused[day] = refused.get(day, "") or reason
        return sorted(day for day, reason in refused.items() if not reason and is_session(day))

    def _absent(self, symbol: str, session: date) -> SourceError:
        """Why there is no chain: a broken file may hold it, else what the archive does have."""
        near = (session - timedelta(days=366), session + timedelta(days=366))
        held = list(self._holdings(None, *near))
        days = self._served(symbol, *near)
        if days:
            told = f"it has {len(days)} sessions from {days[0]} to {days[-1]}"
        else:
            others = sorted({name for _, sessions in held for name in sessions})
            told = f"within a year of it there are {others}; {self._hint('chains')}"
        message = f"the archive has no chain of {symbol} on {session}; {told}"
        return self._missing(Chains, message)

    def _missing(self, kind: type[FileTable], message: str) -> SourceError:
        faults = self._look().claims.faults_of(kind)
        if faults:
            return Unreadable(f"{message}. {len(faults)} files cannot be read, first: {faults[0]}")
        return NoData(message)

    def _hint(self, kind: str) -> str:
        globs = sorted(
            {
                glob
                for name, table in self.mapping.tables()
                for glob in table.files
                if name.startswith(kind)
            }
        )
        return f"mapping {self.name} looks for {globs} in {self.folder}"

    def _dividends(self, symbol: str) -> dict[date, float]:
        amounts: dict[date, float] = {}
        for claim in self._look().claims.of(Dividends):
            paid = rows_of(claim, symbol=symbol).drop_nulls(["ex_date", "amount"])
            for day, amount in paid.select("ex_date", "amount").iter_rows():
                amounts.setdefault(day, amount)
        return amounts

    def _closes_of_chains(
        self, symbol: str, start: date, end: date, known: pl.Series
    ) -> pl.DataFrame:
        closes: dict[date, float] = {}
        for claim, sessions in self._holdings(symbol, start, end):
            wanted = [
                day
                for day, refused in sessions.get(symbol, {}).items()
                if start <= day <= end and not refused and is_session(day)
            ]
            if claim.table.underlying_is_close and set(wanted) - set(known) - set(closes):
                for day, price in stated_closes(claim, symbol, wanted):
                    closes.setdefault(day, price)
        rows = [(day, price) for day, price in closes.items() if day not in set(known)]
        frame = pl.DataFrame(
            rows, schema={"quote_date": pl.Date, "close": pl.Float64}, orient="row"
        )
        return _in_schema(
            frame.with_columns(
                symbol=pl.lit(symbol),
                snapshot=pl.lit("EOD"),
                data_source=pl.lit(f"{self.name}: underlying of the chain"),
            ),
            UNDERLYING_PRICES,
        )


def _by_date(values: dict[date, float], default: float) -> pl.Expr:
    return pl.col("quote_date").replace_strict(values, default=default, return_dtype=pl.Float64)


def _in_schema(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Frame in a table's columns, without what the asset adds; those it lacks are null."""
    schema = {name: dtype for name, dtype in table.schema.items() if name in table.content}
    return frame.select(
        pl.col(name).cast(dtype) if name in frame.columns else pl.lit(None, dtype).alias(name)
        for name, dtype in schema.items()
    )
