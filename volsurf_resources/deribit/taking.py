"""Taking a snapshot: the few questions of one look at a market, and what to do if one fails.

Belongs here: what a snapshot needs and what it can do without. Not here: HTTP, files.
"""

import logging
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TypeVar

from volsurf_resources.deribit import questions
from volsurf_resources.deribit.client import DeribitClient
from volsurf_resources.deribit.days import label_of
from volsurf_resources.deribit.names import Market
from volsurf_resources.deribit.questions import Candle, Row
from volsurf_resources.deribit.snapshot import Snapshot, time_of
from volsurf_resources.source import NoData, SourceError

log = logging.getLogger("volsurf.deribit")

AT_ONCE = 4
MOST_FAILURES = 10  # of single instruments, before the rest is given up
EVERY = "every"
_Part = TypeVar("_Part")


class _Parts:
    """What was asked for and could not be had."""

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self.missing: list[str] = []

    def get(self, what: str, ask: Callable[[], _Part], otherwise: _Part) -> _Part:
        """Return the answer; `otherwise`, and a note of it, where there is none."""
        try:
            return ask()
        except SourceError as error:
            log.warning("snapshot of %s without %s: %s", self._symbol, what, error)
            self.missing.append(f"{what}: {type(error).__name__}: {error}")
            return otherwise


def take(
    client: DeribitClient,
    market: Market,
    *,
    tickers: Collection[str] = (),
    history_since: datetime | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Snapshot:
    """Ask for one snapshot: three requests, one more per ticker, a few for history.

    Without the quotes there is no snapshot: their error is raised (NoData if there are none).
    Whatever else fails is named in `missing`.

    Parameters
    ----------
    tickers
        Instruments to ask for one by one, for greeks, sizes, bid and ask vol; or "every".
    history_since
        Start of hourly bars and of the volatility index to add; None for none.
    progress
        Called with tickers done and wanted.
    """
    parts = _Parts(market.symbol)
    summaries, answer = questions.summaries(client, market)
    if not summaries:
        raise NoData(f"{market.symbol} has no options on {market.currency} at the exchange")
    terms = parts.get("instruments", lambda: questions.instruments(client, market), list[Row]())
    index = parts.get("index price", lambda: questions.index_price(client, market), None)
    every = [str(row["instrument_name"]) for row in summaries if row.get("instrument_name")]
    names = every if tickers == EVERY else list(tickers)
    quotes = _tickers(client, names, parts, progress)
    taken_at = time_of([*summaries, *quotes])
    candles, levels = _history(client, market, parts, history_since, taken_at)
    return Snapshot(
        symbol=market.symbol,
        taken_at=taken_at,
        label=label_of(taken_at),
        summaries=summaries,
        instruments=terms,
        tickers=quotes,
        index_price=index,
        is_testnet=answer.is_testnet,
        clock_offset_s=answer.clock_offset_s,
        missing=tuple(parts.missing),
        candles=tuple(candles),
        levels=tuple(levels),
    )


def _history(
    client: DeribitClient,
    market: Market,
    parts: _Parts,
    since: datetime | None,
    until: datetime,
) -> tuple[list[Candle], list[Candle]]:
    """Hourly bars and volatility index up to the snapshot."""
    bars, levels = list[Candle](), list[Candle]()
    if since is None:
        return bars, levels
    bars = parts.get("bars", lambda: questions.candles(client, market, since, until), bars)
    if market.volatility_index is not None:
        levels = parts.get(
            "volatility index",
            lambda: questions.volatility_index(client, market, since, until),
            levels,
        )
    return bars, levels


def _tickers(
    client: DeribitClient,
    names: Collection[str],
    parts: _Parts,
    progress: Callable[[int, int], None],
) -> list[Row]:
    """Ask for tickers, a few at once (the client paces them), until too many have failed."""
    found: list[Row] = []
    left_out: list[str] = []

    def ask(name: str) -> Row | None:
        if len(parts.missing) >= MOST_FAILURES:
            left_out.append(name)
            return None
        return parts.get(f"ticker {name}", lambda: questions.ticker(client, name), None)

    pool = ThreadPoolExecutor(max_workers=AT_ONCE)
    try:
        for done, row in enumerate(pool.map(ask, names), start=1):
            progress(done, len(names))
            if row is not None:
                found.append(row)
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupt does not wait for the rest
    if left_out:
        parts.missing.append(f"{len(left_out)} more tickers: not asked for after those failures")
    return found
