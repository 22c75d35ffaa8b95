"""Which questions make up a chain or a bar, for each tier.

Belongs here: end-of-day chains, synchronous ones, bars. Not here: HTTP (`client`), ranges
(`requests`), units (`translation`).
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import date, datetime

import polars as pl

from volsurf_resources.contracts import is_index, roots_of
from volsurf_resources.exchange_calendar import NEW_YORK
from volsurf_resources.theta import endpoints, translation
from volsurf_resources.theta.answers import empty
from volsurf_resources.theta.endpoints import Endpoint
from volsurf_resources.theta.reactions import NotInPlan
from volsurf_resources.theta.requests import EVERY, Asker, Question, together

log = logging.getLogger("volsurf.theta")


async def end_of_day(asker: Asker, symbol: str, days: Sequence[date]) -> pl.DataFrame:
    """Return the chains of some sessions, in order, as the day's report holds them."""
    quotes, interest = await together(
        _reported_quotes(asker, symbol, days), _open_interest(asker, symbol, days)
    )
    asked = quotes.filter(pl.col("quote_date").is_in(list(days)))
    return translation.chain(
        asked, translation.open_interest(interest), symbol, translation.END_OF_DAY
    )


async def snapshot(asker: Asker, symbol: str, day: date, at: datetime) -> pl.DataFrame:
    """Return the chain of one session with every quote, and the underlying, as of one instant."""
    extra = {"time_of_day": f"{at.astimezone(NEW_YORK):%H:%M:%S}.000"}
    endpoint = endpoints.INDEX_PRICE_AT if is_index(symbol) else endpoints.STOCK_QUOTE_AT
    spot = Question(endpoint=endpoint, symbol=symbol, start=day, end=day, extra=extra)
    rows, interest, spots = await together(
        _options(asker, endpoints.OPTION_QUOTE_AT, symbol, [day], extra),
        _open_interest(asker, symbol, [day]),
        asker.rows_in_plan(spot),
    )
    quotes = translation.with_underlying(
        translation.quotes_at(rows), translation.underlying_at(spots)
    )
    return translation.chain(quotes, translation.open_interest(interest), symbol, f"{at:%H%M}")


async def _reported_quotes(asker: Asker, symbol: str, days: Sequence[date]) -> pl.DataFrame:
    """Return quotes with the vendor's greeks and underlying, or else with the session's close.

    The history of greeks may start later than that of quotes.
    """
    if asker.tier >= endpoints.OPTION_GREEKS_EOD.tier:
        each = (_options(asker, endpoints.OPTION_GREEKS_EOD, symbol, [day]) for day in days)
        try:
            return translation.greeks_quotes(pl.concat(await together(*each)))
        except NotInPlan as refusal:
            log.warning("chain of %s without greeks: %s", symbol, refusal)
    rows, closes = await together(
        _options(asker, endpoints.OPTION_EOD, symbol, days),
        asker.rows_in_plan(_bars_of(symbol, days[0], days[-1])),
    )
    return translation.with_underlying(
        translation.eod_quotes(rows), translation.underlying_at_close(closes)
    )


async def bars(asker: Asker, symbol: str, start: date, end: date) -> pl.DataFrame:
    """Return the vendor's daily bars of an underlying."""
    return await asker.rows(_bars_of(symbol, start, end))


def _bars_of(symbol: str, start: date, end: date) -> Question:
    endpoint = endpoints.INDEX_EOD if is_index(symbol) else endpoints.STOCK_EOD
    return Question(endpoint=endpoint, symbol=symbol, start=start, end=end)


async def _open_interest(asker: Asker, symbol: str, days: Sequence[date]) -> pl.DataFrame:
    endpoint = endpoints.OPTION_OPEN_INTEREST
    if asker.tier < endpoint.tier:
        return empty(endpoint.columns)
    return await _options(asker, endpoint, symbol, days)


async def _options(
    asker: Asker,
    endpoint: Endpoint,
    symbol: str,
    days: Sequence[date],
    extra: Mapping[str, str] | None = None,
) -> pl.DataFrame:
    """Return the rows of every root."""
    questions = (
        Question(
            endpoint=endpoint,
            symbol=root,
            start=days[0],
            end=days[-1],
            expiration=EVERY,
            extra=extra or {},
        )
        for root in roots_of(symbol)
    )
    return pl.concat(await together(*map(asker.rows, questions)))
