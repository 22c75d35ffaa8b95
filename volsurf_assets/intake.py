"""What the source says, put into the lake: session by session, symbol by symbol.

Belongs here: which sessions may be asked for, what is asked for again, and what happens when a
symbol has nothing. Not here: Dagster, nor any vendor. A symbol that fails does not cost the others:
they are stored, then the session is reported as failed. Nothing ever replaces something.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import polars as pl

from volsurf_resources.lake import Lake, Written
from volsurf_resources.lake_errors import BadFile
from volsurf_resources.provenance import Footer, Provenance
from volsurf_resources.settings import Settings
from volsurf_resources.source import (
    MarketSource,
    NoData,
    SourceError,
    TellsFindings,
    TryLater,
)
from volsurf_tables.market import (
    INDEX_LEVELS,
    MARKET_RATES,
    RAW_OPTIONS_CHAINS,
    UNDERLYING_PRICES,
)
from volsurf_tables.table import Table

Clock = Callable[[], datetime]
CODE_VERSION = "1"
SIMULATED = "simulated"  # a source whose prices must never stand beside real ones


class SessionFailed(Exception):
    """A session that could not be made whole; `may_retry` says whether a pause may help."""

    def __init__(self, message: str, *, may_retry: bool = False) -> None:
        super().__init__(message)
        self.may_retry = may_retry


@dataclass(frozen=True, slots=True)
class Stored:
    """What a session's fetch left in the lake; None of it written where all was kept."""

    written: Written | None
    fetched: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()  # symbols that the source has nothing for
    partial: tuple[str, ...] = ()  # what snapshots lack, by the source
    odd: tuple[str, ...] = ()  # what else the source finds odd, counted


@dataclass(slots=True)
class Intake:
    """One run's fetching. With `only_missing`, what is stored is not asked for again."""

    lake: Lake
    source: MarketSource
    settings: Settings
    clock: Clock
    symbols: Sequence[str]
    only_missing: bool = False
    run_id: str = ""
    _bars: dict[str, pl.DataFrame | SourceError] = field(default_factory=dict)
    _indices: pl.DataFrame | SourceError | None = None

    def chains(self, day: date) -> Stored:
        """Store the chains of a session; a symbol without chain makes the session fail."""
        self._refuse(day)
        wanted = self._wanted(RAW_OPTIONS_CHAINS, day)
        good: dict[str, pl.DataFrame] = {}
        bad: dict[str, SourceError] = {}
        for symbol in wanted:
            try:
                good[symbol] = self._chain(symbol, day)
            except SourceError as error:
                bad[symbol] = error
        written = self._store(RAW_OPTIONS_CHAINS, day, list(good.values()), list(good))
        _report(bad)
        partial, odd = self._findings(list(good), day)
        return Stored(written, tuple(good), partial=partial, odd=odd)

    def underlying(self, day: date, days: Sequence[date]) -> Stored:
        """Store the bars of a session, fetched once for all `days` of the run."""
        self._refuse(day)
        wanted = self._wanted(UNDERLYING_PRICES, day)
        good: dict[str, pl.DataFrame] = {}
        bad: dict[str, SourceError] = {}
        for symbol in wanted:
            bars = self._bars_of(symbol, days)
            if isinstance(bars, SourceError):
                bad[symbol] = bars
            else:
                good[symbol] = bars.filter(pl.col("quote_date") == day)
        missing = tuple(symbol for symbol, bars in good.items() if bars.is_empty())
        found = [symbol for symbol in good if symbol not in missing]
        written = self._store(UNDERLYING_PRICES, day, [good[s] for s in found], found)
        if written is None and missing:
            written = self._store_nothing(UNDERLYING_PRICES, day)
        _report(bad)
        return Stored(written, tuple(found), missing)

    def rates(self, day: date) -> Stored:
        """Store the curve known at a session's end; stored empty where the source has none."""
        self._refuse(day)
        if self.only_missing and usable_footer(self.lake, MARKET_RATES.name, day) is not None:
            return Stored(None)
        try:
            curve = self.source.rates(day)
        except NoData:
            curve = pl.DataFrame()
        return self._whole(MARKET_RATES, day, curve)

    def indices(self, day: date, days: Sequence[date]) -> Stored:
        """Store the index levels of a session, fetched once for all `days` of the run."""
        self._refuse(day)
        if self.only_missing and usable_footer(self.lake, INDEX_LEVELS.name, day) is not None:
            return Stored(None)
        if self._indices is None:
            try:
                self._indices = self.source.index_levels(min(days), self._last(days))
            except SourceError as error:
                self._indices = error
        if isinstance(self._indices, NoData) or not isinstance(self._indices, SourceError):
            levels = pl.DataFrame() if isinstance(self._indices, NoData) else self._indices
            return self._whole(INDEX_LEVELS, day, _of_day(levels, day))
        raise self._indices

    def _refuse(self, day: date) -> None:
        if day < self.settings.ingestion_start_date:
            start = self.settings.ingestion_start_date
            raise SessionFailed(f"INGESTION_START_DATE is {start}: {day} is not ingested")
        if self.clock() < (begins := self.lake.calendar.available_from(day)):
            raise SessionFailed(f"session {day} has not closed: it can be had from {begins}")
        stored = self._stored_source()
        if stored and (stored == SIMULATED) != (self.source.name == SIMULATED):
            raise SessionFailed(
                f"this lake holds data of the source {stored}, which do not mix with those of "
                f"{self.source.name}: set VOLSURF_HOME to another folder"
            )

    def _stored_source(self) -> str:
        """Return where the newest bars come from; empty if there are none, or nobody knows."""
        for day in self.lake.days(UNDERLYING_PRICES.name)[-1:]:
            if footer := usable_footer(self.lake, UNDERLYING_PRICES.name, day):
                return footer.provenance.source
        return ""

    def _wanted(self, table: Table, day: date) -> list[str]:
        if not self.only_missing:
            return list(self.symbols)
        footer = usable_footer(self.lake, table.name, day)
        stored = {} if footer is None else footer.parts
        return [symbol for symbol in self.symbols if symbol not in stored]

    def _chain(self, symbol: str, day: date) -> pl.DataFrame:
        chain = self.source.chain(symbol, day)
        if chain.is_empty():
            raise NoData(f"{self.source.name} gave an empty chain of {symbol} on {day}")
        return numbered_duplicates(chain)

    def _findings(
        self, symbols: Sequence[str], day: date
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Say what makes snapshots partial, and count what else is odd, if the source tells."""
        if not symbols or not isinstance(self.source, TellsFindings):
            return (), ()
        found = pl.concat(self.source.findings(symbol, day) for symbol in symbols)
        is_partial = pl.col("finding") == "partial"
        lacking = found.filter(is_partial).select("symbol", "snapshot", "explanation")
        counted = found.filter(~is_partial)["finding"].value_counts().sort("finding")
        return (
            tuple(f"{symbol} {snapshot}: {why}" for symbol, snapshot, why in lacking.iter_rows()),
            tuple(f"{n} {finding}" for finding, n in counted.iter_rows()),
        )

    def _last(self, days: Sequence[date]) -> date:
        now = self.clock()
        return max(day for day in days if self.lake.calendar.available_from(day) <= now)

    def _bars_of(self, symbol: str, days: Sequence[date]) -> pl.DataFrame | SourceError:
        if symbol not in self._bars:
            try:
                self._bars[symbol] = self.source.underlying(symbol, min(days), self._last(days))
            except NoData:
                self._bars[symbol] = pl.DataFrame(schema=UNDERLYING_PRICES.schema)
            except SourceError as error:
                self._bars[symbol] = error
        return self._bars[symbol]

    def _whole(self, table: Table, day: date, frame: pl.DataFrame) -> Stored:
        if frame.is_empty():
            return Stored(self._store_nothing(table, day), missing=(table.name,))
        return Stored(self._store(table, day, [frame], None), (table.name,))

    def _store(
        self, table: Table, day: date, frames: Sequence[pl.DataFrame], symbols: list[str] | None
    ) -> Written | None:
        if not frames:
            return None
        rows = pl.concat(frames).with_columns(ingestion_timestamp=pl.lit(self.clock()))
        if self.lake.path(table.name, day).exists() and not usable_footer(
            self.lake, table.name, day
        ):
            symbols = None  # single symbols cannot be put into a damaged file
        return self.lake.replace(
            table.name,
            day,
            rows,
            symbols=symbols,
            snapshots=rows["snapshot"].unique().to_list() if symbols else None,
            provenance=self._provenance(),
        )

    def _store_nothing(self, table: Table, day: date) -> Written | None:
        """Remember that the session was asked for, and leave what is stored alone."""
        if usable_footer(self.lake, table.name, day) is not None:
            return None
        empty = table.schema.to_frame()
        return self.lake.replace(table.name, day, empty, provenance=self._provenance())

    def _provenance(self) -> Provenance:
        return Provenance(
            code_version=CODE_VERSION,
            settings_hash=self.settings.fingerprint,
            run_id=self.run_id,
            source=self.source.name,
        )


def usable_footer(lake: Lake, table: str, day: date) -> Footer | None:
    """Return what a stored file says of itself; None too if it is damaged: it is fetched again."""
    try:
        return lake.footer(table, day)
    except BadFile:
        return None


def numbered_duplicates(chain: pl.DataFrame) -> pl.DataFrame:
    """Drop exact duplicates; a further, different row of one contract is named `...#2` and so on.

    So nothing that was received is lost, and the quality rules see that it came twice.
    """
    rows = chain.unique(maintain_order=True)
    nth = pl.int_range(1, pl.len() + 1).over("symbol", "snapshot", "contract_id")
    return rows.with_columns(
        contract_id=pl.when(nth > 1)
        .then(pl.format("{}#{}", "contract_id", nth))
        .otherwise("contract_id")
    )


def _of_day(frame: pl.DataFrame, day: date) -> pl.DataFrame:
    return frame if frame.is_empty() else frame.filter(pl.col("quote_date") == day)


def _report(bad: dict[str, SourceError]) -> None:
    if bad:
        raise SessionFailed(
            "; ".join(f"{s}: {type(error).__name__}: {error}" for s, error in bad.items()),
            may_retry=any(isinstance(error, TryLater) for error in bad.values()),
        )
