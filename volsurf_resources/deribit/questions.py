"""What can be asked of the exchange: one function per method, every page of its answer.

Belongs here: methods, parameters, paging. Not here: HTTP (`client`), units (`translation`). Rows
are handed on as the exchange wrote them.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from volsurf_resources.deribit.client import Answer, DeribitClient, Params
from volsurf_resources.deribit.names import Market
from volsurf_resources.source import Unreadable

Row = dict[str, Any]
Candle = list[float]  # milliseconds, open, high, low, close; volume where there is one

HOUR = timedelta(hours=1)
_PAGE = 1000
_TRADES_KEPT = timedelta(hours=24)


def summaries(client: DeribitClient, market: Market) -> tuple[list[Row], Answer]:
    """Return the quotes of every option of a market, all in one answer."""
    answer = client.get(
        "get_book_summary_by_currency", {"currency": market.currency, "kind": "option"}
    )
    return _of_market(answer, market), answer


def instruments(client: DeribitClient, market: Market) -> list[Row]:
    """Return the contract terms of every listed option of a market."""
    params = {"currency": market.currency, "kind": "option", "expired": "false"}
    return _of_market(client.get("get_instruments", params), market)


def ticker(client: DeribitClient, name: str) -> Row:
    """Return one instrument with bid and ask vol, greeks and sizes; NoData if there is none."""
    return _row(client.get("ticker", {"instrument_name": name}))


def index_price(client: DeribitClient, market: Market) -> float | str | None:
    """Return the spot index as written."""
    answer = client.get("get_index_price", {"index_name": market.price_index})
    price: float | str | None = _row(answer).get("index_price")
    return price


def candles(client: DeribitClient, market: Market, start: datetime, end: datetime) -> list[Candle]:
    """Return hourly bars of the perpetual future, start included, end not, in order.

    The exchange cuts long answers without saying so: what is missing at the front is asked for
    again, until an answer brings nothing new.
    """
    found: dict[float, Candle] = {}
    until = end - timedelta(milliseconds=1)
    while until >= start:
        answer = client.get(
            "get_tradingview_chart_data",
            {
                "instrument_name": market.perpetual,
                "resolution": "60",
                "start_timestamp": _ms(start),
                "end_timestamp": _ms(until),
            },
        )
        page = _candles(_row(answer))
        fresh = [bar for bar in page if bar[0] not in found and bar[0] >= _ms(start)]
        if not fresh:
            break
        found |= {bar[0]: bar for bar in fresh}
        until = datetime.fromtimestamp(min(found) / 1000.0, UTC) - HOUR
    return [found[at] for at in sorted(found) if at < _ms(end)]


def volatility_index(
    client: DeribitClient, market: Market, start: datetime, end: datetime
) -> list[Candle]:
    """Return hourly values of the coin's volatility index, start included, end not, in order."""
    found: dict[float, Candle] = {}
    until: int | None = _ms(end) - 1
    while until is not None and until >= _ms(start):
        answer = client.get(
            "get_volatility_index_data",
            {
                "currency": market.base,
                "resolution": "3600",
                "start_timestamp": _ms(start),
                "end_timestamp": until,
            },
        )
        page = _row(answer)
        found |= {bar[0]: bar for bar in page.get("data", [])}
        following = page.get("continuation")
        until = following if following is None or following < until else None
    return [found[at] for at in sorted(found) if _ms(start) <= at < _ms(end)]


def delivery_prices(client: DeribitClient, market: Market, since: date) -> list[Row]:
    """Return the index averages at which options settled, newest first, back to a date."""
    found: list[Row] = []
    while True:
        params: Params = {"index_name": market.price_index, "offset": len(found), "count": _PAGE}
        page = _row(client.get("get_delivery_prices", params))
        rows = page.get("data", [])
        found += rows
        is_last = len(found) >= page.get("records_total", 0)
        if not rows or is_last or date.fromisoformat(rows[-1]["date"]) <= since:
            return [row for row in found if date.fromisoformat(row["date"]) >= since]


def trades(client: DeribitClient, market: Market, start: datetime, end: datetime) -> Iterator[Row]:
    """Yield the option trades of a range, oldest first; the exchange keeps those of 24 hours.

    ValueError for an older start, to which the exchange would answer nothing without an error.
    """
    if start < client.now() - _TRADES_KEPT:
        raise ValueError(f"trades are kept for {_TRADES_KEPT}, was asked for them since {start}")
    seen: set[str] = set()
    since = _ms(start)
    while True:
        params: Params = {
            "currency": market.currency,
            "kind": "option",
            "start_timestamp": since,
            "end_timestamp": _ms(end) - 1,
            "count": _PAGE,
            "sorting": "asc",
        }
        page = _row(client.get("get_last_trades_by_currency_and_time", params))
        fresh = [row for row in page.get("trades", []) if row["trade_id"] not in seen]
        seen |= {row["trade_id"] for row in fresh}
        yield from (row for row in fresh if _is_of(row, market))
        if not fresh or not page.get("has_more"):
            return
        since = fresh[-1]["timestamp"]


def _of_market(answer: Answer, market: Market) -> list[Row]:
    if not isinstance(answer.result, list) or not all(isinstance(r, dict) for r in answer.result):
        raise Unreadable(
            f"options of {market.symbol}: a list was needed, was {answer.result!r:.80}"
        )
    return [row for row in answer.result if _is_of(row, market)]


def _is_of(row: Row, market: Market) -> bool:
    """Whether a row is of the market; one whose name says nothing is, so that it is not lost."""
    root, dash, _ = str(row.get("instrument_name", "")).partition("-")
    return root == market.symbol or (not dash and row.get("base_currency") == market.base)


def _row(answer: Answer) -> Row:
    if not isinstance(answer.result, dict):
        raise Unreadable(f"an object was needed, was {answer.result!r:.80}")
    return answer.result


def _candles(page: Row) -> list[Candle]:
    columns = [page.get(name, []) for name in ("ticks", "open", "high", "low", "close", "volume")]
    if len({len(column) for column in columns}) != 1:
        raise Unreadable(f"candles need columns of one length, were {[len(c) for c in columns]}")
    return [list(bar) for bar in zip(*columns, strict=True)]


def _ms(instant: datetime) -> int:
    return round(1000.0 * instant.timestamp())
