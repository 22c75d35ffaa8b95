"""The market replayed from recorded snapshots: the same frames as live, with nobody asked.

Belongs here: what a `MarketSource` offers, from files. Not here: units, names of files.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from volsurf_resources.calendars import ROUND_THE_CLOCK
from volsurf_resources.deribit import translation
from volsurf_resources.deribit.days import DayRange, label_of, to_settlement, utc_day
from volsurf_resources.deribit.findings import findings
from volsurf_resources.deribit.names import market_of
from volsurf_resources.deribit.questions import Candle
from volsurf_resources.deribit.recordings import Recordings
from volsurf_resources.deribit.snapshot import Snapshot
from volsurf_resources.source import NoData


class RecordedDeribit:
    """A `MarketSource` over a folder of snapshots, or over one file.

    Bars and index levels are those that the snapshots brought along; a day without has a bar of
    the spot index at its snapshots. `day_range` says when a day's bars begin and end.
    """

    def __init__(self, recordings: Path, *, day_range: DayRange = to_settlement) -> None:
        self._recordings = Recordings(recordings)
        self._day_range = day_range

    @property
    def name(self) -> str:
        """Word for `data_source`: of bars, rates and levels; each chain has its snapshot's own."""
        return translation.SIMULATED if self._recordings.is_simulated else translation.SOURCE

    @property
    def recordings(self) -> Recordings:
        """The files."""
        return self._recordings

    def chain(self, symbol: str, session: date, *, snapshot: str | None = None) -> pl.DataFrame:
        """Return the chains of a day's snapshots side by side, or of the one called HHMM.

        NoData, naming those that there are, for a day or name without any.
        """
        return pl.concat(map(translation.chain, self._wanted(symbol, session, snapshot)))

    def findings(self, symbol: str, session: date, *, snapshot: str | None = None) -> pl.DataFrame:
        """Return what is odd about the same snapshots, by symbol, quote_date and snapshot.

        The columns beyond are those of :func:`~volsurf_resources.deribit.findings.findings`; what
        makes a snapshot partial is among them.
        """
        return pl.concat(
            findings(own).select(
                pl.lit(symbol).alias("symbol"),
                pl.lit(session).alias("quote_date"),
                pl.lit(own.label).alias("snapshot"),
                pl.all(),
            )
            for own in self._wanted(symbol, session, snapshot)
        )

    def snapshots(self, symbol: str, session: date) -> Sequence[str]:
        """Return the names (HHMM) of a day's snapshots, in order."""
        return [label_of(at) for at in self._recordings.instants(symbol, session)]

    def official(self, symbol: str, session: date) -> str | None:
        """Return the name of the snapshot that stands for a day; None if there is none."""
        names = pl.LazyFrame(
            {"symbol": symbol, "snapshot": list(self.snapshots(symbol, session))},
            schema={"symbol": pl.String, "snapshot": pl.String},
        )
        chosen = ROUND_THE_CLOCK.official(names, ["symbol"]).collect()
        return chosen["snapshot"][0] if chosen.height else None

    def underlying(self, symbol: str, start: date, end: date) -> pl.DataFrame:
        """Return daily bars of the days that the snapshots know, of the newest as far as it got."""
        days, snapshots = days_of(start, end), list(self._recordings.between(symbol, start, end))
        hourly = _together(snapshot.candles for snapshot in snapshots)
        source = self.name
        told = translation.underlying_prices(hourly, symbol, days, self._day_range, source)
        others = [day for day in days if day not in set(told["quote_date"])]
        spots = _together(map(_spot, snapshots))
        seen = translation.underlying_prices(spots, symbol, others, utc_day, source)
        return pl.concat([told, seen]).sort("quote_date")

    def rates(self, session: date) -> pl.DataFrame:
        """Return the rate at which the exchange values: 0."""
        return translation.zero_rates(session, self.name)

    def index_levels(self, start: date, end: date) -> pl.DataFrame:
        """Return daily bars of DVOL_BTC and DVOL_ETH; an empty frame if there are none."""
        days, frames = days_of(start, end), [translation.no_levels()]
        for symbol in self._recordings.symbols():
            if (index := market_of(symbol).volatility_index) is not None:
                bars = _together(s.levels for s in self._recordings.between(symbol, start, end))
                frame = translation.index_levels(bars, index, days, self._day_range, self.name)
                frames.append(frame)
        return pl.concat(frames).unique(["index", "quote_date"], maintain_order=True)

    def sessions(self, symbol: str, start: date, end: date) -> Sequence[date]:
        """Return the days of which there is a snapshot."""
        own = {at.date() for at in self._recordings.instants(symbol)}
        return sorted(day for day in own if start <= day <= end)

    def _wanted(self, symbol: str, session: date, label: str | None) -> Iterator[Snapshot]:
        instants = self._recordings.instants(symbol, session)
        wanted = [at for at in instants if label in (None, label_of(at))]
        if not wanted:
            have = ", ".join(map(label_of, instants)) or "nothing"
            what = f"{symbol} on {session}" + (f", {label}" if label else "")
            raise NoData(f"{what}: nobody recorded it; there is {have} of that day")
        return (self._recordings.snapshot(symbol, at) for at in wanted)


def days_of(start: date, end: date) -> Sequence[date]:
    """Return every day of a range: this market knows no holidays."""
    return [start + timedelta(days=n) for n in range((end - start).days + 1)]


def _together(series: Iterable[Iterable[Candle]]) -> list[Candle]:
    """Bars of several series in order; of one hour the last told."""
    found = {bar[0]: bar for bars in series for bar in bars}
    return [found[at] for at in sorted(found)]


def _spot(snapshot: Snapshot) -> list[Candle]:
    """Return the spot index at a snapshot as a bar of no length, without volume."""
    price = translation.number(snapshot.index_price)
    if price is None:
        return []
    return [[1000.0 * snapshot.taken_at.timestamp(), price, price, price, price]]
