"""Deribit live: what it offers as a market source, and which day can be asked for.

Belongs here: the choice between the exchange and what was recorded. Not here: requests, units. The
exchange serves the past of bars and indices, but only the present of chains: those of past days
are there if somebody recorded them (`collector`).
"""

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from volsurf_resources.deribit import questions, translation
from volsurf_resources.deribit.client import DeribitClient
from volsurf_resources.deribit.days import DayRange, to_settlement
from volsurf_resources.deribit.names import market_of
from volsurf_resources.deribit.recordings import Recordings
from volsurf_resources.deribit.replay import RecordedDeribit, days_of
from volsurf_resources.deribit.snapshot import Snapshot
from volsurf_resources.deribit.taking import take
from volsurf_resources.source import TryLater

COINS_WITH_DVOL = ("BTC", "ETH")


class Deribit:
    """The exchange's public API as a `MarketSource`.

    Parameters
    ----------
    url
        Address of the exchange.
    recordings
        Folder of recorded snapshots, which serves past days and keeps what `chain` takes.
    timeout_s
        Seconds without a byte before a request counts as stalled.
    coins
        Coins whose volatility index is served.
    day_range
        When a day's bars begin and end.
    client
        In place of one for `url`, for tests.
    """

    def __init__(
        self,
        *,
        url: str = "https://www.deribit.com",
        recordings: Path,
        timeout_s: float = 30.0,
        coins: Sequence[str] = COINS_WITH_DVOL,
        day_range: DayRange = to_settlement,
        client: DeribitClient | None = None,
    ) -> None:
        self._client = client or DeribitClient(url=url, timeout_s=timeout_s)
        self._recorded = RecordedDeribit(recordings, day_range=day_range)
        self._coins, self._day_range = coins, day_range

    @property
    def name(self) -> str:
        """Word for `data_source`."""
        return translation.SOURCE

    @property
    def recordings(self) -> Recordings:
        """The files of recorded snapshots."""
        return self._recorded.recordings

    def take(
        self,
        symbol: str,
        *,
        tickers: Collection[str] = (),
        history_since: datetime | None = None,
        progress: Callable[[int, int], None] = lambda done, of: None,
    ) -> Snapshot:
        """Ask for a snapshot of now, without keeping it; see `taking.take`."""
        return take(
            self._client,
            market_of(symbol),
            tickers=tickers,
            history_since=history_since,
            progress=progress,
        )

    def record(
        self,
        symbol: str,
        *,
        tickers: Collection[str] = (),
        history_since: datetime | None = None,
        progress: Callable[[int, int], None] = lambda done, of: None,
    ) -> Snapshot:
        """Ask for a snapshot of now and keep it under its minute, unless that has one."""
        taken = self.take(symbol, tickers=tickers, history_since=history_since, progress=progress)
        self.recordings.keep(taken, taken.taken_at)
        return taken

    def chain(self, symbol: str, session: date, *, snapshot: str | None = None) -> pl.DataFrame:
        """Return a day's recorded chains side by side, or the one called HHMM.

        Of today, if nothing is recorded yet, the chain as it is now, which is kept. NoData for a
        past day that nobody recorded, TryLater for one that has not come.
        """
        today = self._client.now().astimezone(UTC).date()
        if session > today:
            raise TryLater(f"{symbol} on {session}: that day has not come")
        if session == today and snapshot is None and not self.snapshots(symbol, session):
            self.record(symbol)
        return self._recorded.chain(symbol, session, snapshot=snapshot)

    def findings(self, symbol: str, session: date, *, snapshot: str | None = None) -> pl.DataFrame:
        """Return what is odd about a day's recorded snapshots."""
        return self._recorded.findings(symbol, session, snapshot=snapshot)

    def snapshots(self, symbol: str, session: date) -> Sequence[str]:
        """Return the names (HHMM) of a day's recorded snapshots, in order."""
        return self._recorded.snapshots(symbol, session)

    def official(self, symbol: str, session: date) -> str | None:
        """Return the name of the recorded snapshot that stands for a day; None if there is none."""
        return self._recorded.official(symbol, session)

    def underlying(self, symbol: str, start: date, end: date) -> pl.DataFrame:
        """Return daily bars, made of hourly ones of the perpetual future, of finished days."""
        days = self._finished(start, end)
        if not days:
            return translation.underlying_prices([], symbol, days, self._day_range)
        first, last = self._day_range(days[0])[0], self._day_range(days[-1])[1]
        bars = questions.candles(self._client, market_of(symbol), first, last)
        return translation.underlying_prices(bars, symbol, days, self._day_range)

    def rates(self, session: date) -> pl.DataFrame:
        """Return the rate at which the exchange values: 0."""
        return translation.zero_rates(session)

    def index_levels(self, start: date, end: date) -> pl.DataFrame:
        """Return daily bars of the coins' volatility indices (DVOL_BTC), of finished days."""
        days, frames = self._finished(start, end), [translation.no_levels()]
        for market in map(market_of, self._coins if days else ()):
            if market.volatility_index is not None:
                first, last = self._day_range(days[0])[0], self._day_range(days[-1])[1]
                bars = questions.volatility_index(self._client, market, first, last)
                index = market.volatility_index
                frames.append(translation.index_levels(bars, index, days, self._day_range))
        return pl.concat(frames)

    def delivery_prices(self, symbol: str, start: date, end: date) -> pl.DataFrame:
        """Return (quote_date, delivery_price): what options settled on at 08:00 UTC, by date."""
        rows = questions.delivery_prices(self._client, market_of(symbol), start)
        return translation.delivery_prices(rows, start, end)

    def trades(self, symbol: str, start: datetime, end: datetime) -> pl.DataFrame:
        """Return the option trades of a range within the last 24 hours, oldest first."""
        return translation.trades(questions.trades(self._client, market_of(symbol), start, end))

    def sessions(self, symbol: str, start: date, end: date) -> Sequence[date]:
        """Return the days whose chain can be served: those recorded, and today."""
        recorded = self._recorded.sessions(symbol, start, end)
        today = self._client.now().astimezone(UTC).date()
        return sorted({*recorded, *([today] if start <= today <= end else [])})

    def usage(self) -> dict[str, int]:
        """Return the requests sent so far, by method."""
        return self._client.calls

    def close(self) -> None:
        """Close the connections; the next question opens them again."""
        self._client.close()

    def __enter__(self) -> Self:
        """Return itself, to be closed at the end of a `with`."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def _finished(self, start: date, end: date) -> Sequence[date]:
        now = self._client.now()
        return [day for day in days_of(start, end) if self._day_range(day)[1] <= now]
