"""The market source over a Theta Terminal (version 3).

Belongs here: what a `MarketSource` offers, as synchronous methods; which sessions can be asked for.
Not here: which endpoints make up a chain (`chains`).
"""

import weakref
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from volsurf_resources import exchange_calendar as calendar
from volsurf_resources.backoff import Backoff
from volsurf_resources.contracts import is_index
from volsurf_resources.source import NoData, NotAllowed, TryLater
from volsurf_resources.theta import chains, curve, endpoints, translation
from volsurf_resources.theta.cache import ResponseCache
from volsurf_resources.theta.client import ThetaClient
from volsurf_resources.theta.endpoints import Tier
from volsurf_resources.theta.event_loop import LoopThread
from volsurf_resources.theta.requests import Asker, Question, together

VOLATILITY_INDICES = ("VIX", "VIX9D", "VIX3M", "VIX6M", "VVIX")
_STALEST_RATE = timedelta(days=7)
_REPORT = time(17, 25)  # the end-of-day report is written from 17:15 to 17:21 New York


class ThetaData:
    """Chains, bars, rates and index levels of a Theta account; a `MarketSource`.

    Parameters
    ----------
    url
        Where the terminal listens.
    tier
        free, value, standard or pro: bounds requests at once, history, and what is asked for.
        Greeks need standard, open interest and snapshots value.
    timeout_s
        Seconds without a byte before a request counts as stalled.
    api_key
        Bearer token for a gateway in front of the terminal; a local one needs none.
    snapshot_time
        New York time of a synchronous chain, as 15:45:00; None for the end-of-day report. On early
        closes it keeps its distance to the bell.
    cache_dir
        Folder for answers whose report is final; None to keep none.
    backoff, now
        Pauses between retries and the clock, for tests.
    """

    def __init__(
        self,
        *,
        url: str = "http://127.0.0.1:25503",
        tier: str = "value",
        timeout_s: float = 30.0,
        api_key: str | None = None,
        snapshot_time: str | None = None,
        cache_dir: Path | None = None,
        volatility_indices: Sequence[str] = VOLATILITY_INDICES,
        backoff: Backoff | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._tier = Tier[tier.upper()]
        self._snapshot_time = time.fromisoformat(snapshot_time) if snapshot_time else None
        self._volatility_indices = volatility_indices
        self._now = now
        self._loop = LoopThread()
        self._prints: dict[tuple[str, date, date], pl.DataFrame] = {}
        self._client = ThetaClient(
            url=url,
            concurrency=self._tier.concurrency,
            per_minute=self._tier.per_minute,
            timeout_s=timeout_s,
            api_key=api_key,
            backoff=backoff,
            cache=ResponseCache(cache_dir) if cache_dir else None,
        )
        weakref.finalize(self, self._loop.end, self._client.close).atexit = False

    @property
    def name(self) -> str:
        """Word for `data_source`."""
        return translation.SOURCE

    def chain(
        self,
        symbol: str,
        session: date,
        *,
        exp_min: date | None = None,
        exp_max: date | None = None,
    ) -> pl.DataFrame:
        """Return the chain of every root of a symbol, optionally of some expiries only.

        Raises NoData if the vendor has none; TryLater before the report or snapshot exists, and
        while it may only be late: of today and the session before; NotAllowed before the tier's
        first date.
        """
        self._refuse_impossible(symbol, session)
        rows = self._loop.run(self._chains(symbol, [session]))
        if rows.is_empty():
            what = f"{symbol} has no chain of {session}"
            if session >= calendar.previous_session(self._today()):
                raise TryLater(f"{what} yet: its report may be late")
            raise NoData(what)
        expiry = pl.col("expiration_date")
        return rows.filter(expiry.is_between(exp_min or date.min, exp_max or date.max))

    def chains(
        self, symbol: str, start: date, end: date, batch: int = 10
    ) -> Iterator[tuple[date, pl.DataFrame]]:
        """Yield session and chain of a range, asking for `batch` sessions at a time.

        Sessions before the tier's first date, without a report yet, or without data are left out.
        """
        last = min(end, self._latest_session())
        days = calendar.sessions(max(start, self._tier.first_date), last)
        for n in range(0, len(days), batch):
            rows = self._loop.run(self._chains(symbol, days[n : n + batch]))
            for (day,), chain in rows.partition_by("quote_date", as_dict=True).items():
                yield day, chain

    def underlying(self, symbol: str, start: date, end: date) -> pl.DataFrame:
        """Return daily bars, as traded; dividends and splits are null: version 3 has none."""
        bars = self._loop.run(chains.bars(self._asker(), symbol, start, end))
        return translation.underlying_prices(bars, symbol)

    def rates(self, session: date) -> pl.DataFrame:
        """Return SOFR and the Treasury curve as known at the session's end: of an earlier date."""
        prints = self._loop.run(self._rate_prints(session))
        rates = curve.market_rates(prints, session)
        if rates.is_empty():
            raise NoData(f"no rates in the {_STALEST_RATE.days} days before {session}")
        return rates

    def index_levels(self, start: date, end: date) -> pl.DataFrame:
        """Return daily bars of those volatility indices that the account's plan serves."""
        bars = self._loop.run(self._index_bars(start, end))
        return pl.concat(
            translation.index_levels(rows, index)
            for index, rows in zip(self._volatility_indices, bars, strict=True)
        )

    def sessions(self, symbol: str, start: date, end: date) -> Sequence[date]:
        """Return the sessions with a report that the vendor lists and the tier may read."""
        endpoint = endpoints.INDEX_DATES if is_index(symbol) else endpoints.STOCK_DATES
        listed = self._loop.run(self._asker().listed(endpoint, symbol))
        dates = set(listed["date"])
        first = max(start, self._tier.first_date)
        last = min(end, self._latest_session())
        return [day for day in calendar.sessions(first, last) if day in dates]

    def status(self) -> str:
        """Return the terminal's connection to the vendor: CONNECTED when all is well."""
        return self._loop.run(self._client.status())

    def usage(self) -> dict[date, int]:
        """Return the requests sent so far, per UTC day."""
        return self._client.usage

    def close(self) -> None:
        """Close connections and thread; the next question opens them again."""
        self._loop.close(self._client.close)

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

    async def _chains(self, symbol: str, days: Sequence[date]) -> pl.DataFrame:
        asker = self._asker()
        if self._snapshot_time is None:
            return await chains.end_of_day(asker, symbol, days)
        return pl.concat(
            [await chains.snapshot(asker, symbol, day, self._snapshot_instant(day)) for day in days]
        )

    async def _rate_prints(self, session: date) -> pl.DataFrame:
        """Prints of the last days before a session, asked for by quarter and kept for the next."""
        oldest = session - _STALEST_RATE
        spans = sorted({_quarter(oldest), _quarter(session)})
        series = [curve.SOFR, *curve.TREASURIES]
        prints = await together(
            *(self._quarter_of(name, *span) for name in series for span in spans)
        )
        return pl.concat(prints).filter(pl.col("created") >= oldest)

    async def _quarter_of(self, series: str, start: date, end: date) -> pl.DataFrame:
        key = (series, start, min(end, self._today()))
        if key not in self._prints:
            question = Question(endpoint=endpoints.RATES, symbol=series, start=start, end=key[2])
            rows = await self._asker().rows(question)
            self._prints[key] = rows.with_columns(pl.lit(series).alias("series"))
        return self._prints[key]

    async def _index_bars(self, start: date, end: date) -> Sequence[pl.DataFrame]:
        asker = self._asker()
        questions = (
            Question(endpoint=endpoints.INDEX_EOD, symbol=index, start=start, end=end)
            for index in self._volatility_indices
        )
        return await together(*map(asker.rows_in_plan, questions))

    def _refuse_impossible(self, symbol: str, session: date) -> None:
        what = f"{symbol} on {session}"
        if not calendar.is_session(session):
            raise NoData(f"{what}: the exchange does not trade on that day")
        if session < self._tier.first_date:
            raise NotAllowed(
                f"{what}: tier {self._tier.name} starts on {self._tier.first_date}; ask for later "
                "sessions or upgrade"
            )
        if self._now() < (known := self._known_from(session)):
            raise TryLater(f"{what}: there is nothing before {known:%Y-%m-%d %H:%M} UTC")

    def _known_from(self, session: date) -> datetime:
        """Instant from which a session's chain can be asked for."""
        if self._snapshot_time is not None:
            return self._snapshot_instant(session)
        return datetime.combine(session, _REPORT, calendar.NEW_YORK).astimezone(UTC)

    def _latest_session(self) -> date:
        today = self._today()
        if calendar.is_session(today) and self._known_from(today) <= self._now():
            return today
        return calendar.previous_session(today)

    def _snapshot_instant(self, day: date) -> datetime:
        """The snapshot's instant in UTC, as far before the bell as on a full day."""
        close = calendar.session_close(day)
        asked = self._snapshot_time or calendar.CLOSE
        to_the_bell = datetime.combine(day, calendar.CLOSE) - datetime.combine(day, asked)
        there = datetime.combine(day, asked, calendar.NEW_YORK).astimezone(UTC)
        return there if there <= close else close - to_the_bell

    def _asker(self) -> Asker:
        return Asker(self._client, self._tier, self._today())

    def _today(self) -> date:
        return self._now().astimezone(calendar.NEW_YORK).date()


def _quarter(day: date) -> tuple[date, date]:
    """First and last day of the quarter of `day`."""
    first = date(day.year, 3 * ((day.month - 1) // 3) + 1, 1)
    following = (first + timedelta(days=93)).replace(day=1)
    return first, following - timedelta(days=1)
