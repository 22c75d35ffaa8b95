"""What is odd about a snapshot: each oddity named, with its value and the limit that it breaks.

Belongs here: rules that only this exchange needs, or that need what its rows do not keep. Not here:
repairs; nothing is dropped or changed. A finding without `contract_id` is about all of a snapshot.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import polars as pl

from volsurf_resources.deribit.days import EXPIRY
from volsurf_resources.deribit.names import Option
from volsurf_resources.deribit.questions import Row
from volsurf_resources.deribit.snapshot import Snapshot, instant
from volsurf_resources.deribit.translation import chain, name_of, number, quoted

MOST_CLOCK_OFFSET_S = 60.0
MOST_INDEX_GAP = 0.01  # of the index to the nearest of all expiries' own underlyings
LEAST_MINUTES = 60.0
MOST_MINUTES_OLD = 15.0  # a sweep of single tickers takes three to five
FEWEST_FLAT = 5  # strikes with one vol in an expiry
SCHEMA = pl.Schema(
    {
        "contract_id": pl.String(),
        "finding": pl.String(),
        "value": pl.Float64(),
        "threshold": pl.Float64(),
        "explanation": pl.String(),
    }
)

_BID, _ASK, _MARK = pl.col("bid"), pl.col("ask"), pl.col("mark")
_LEFT, _UNDERLYING = pl.col("minutes_left"), pl.col("underlying_price")
_RULES = (
    ("expired", _LEFT <= 0.0, "minutes_left", 0.0, "expired before the snapshot"),
    (
        "expires_at_once",
        (_LEFT > 0.0) & (_LEFT < LEAST_MINUTES),
        "minutes_left",
        LEAST_MINUTES,
        "expires within the hour",
    ),
    ("no_bid", _BID == 0.0, "bid", None, "nobody bids"),
    ("no_ask", _ASK == 0.0, "ask", None, "nobody offers"),
    ("negative_price", (_BID < 0.0) | (_ASK < 0.0), "bid", 0.0, "a price below zero"),
    ("crossed", (_ASK > 0.0) & (_BID > _ASK), "bid", None, "the bid is above the offer"),
    ("no_mark", _MARK.is_null() | (_MARK == 0.0), "mark", None, "no mark, or one rounded to 0"),
    (
        "mark_outside_quote",
        (_MARK > 0.0) & ((_MARK < _BID) | ((_ASK > 0.0) & (_MARK > _ASK))),
        "mark",
        None,
        "the mark lies outside bid and ask",
    ),
    (
        "no_underlying",
        _UNDERLYING.is_null() | (_UNDERLYING <= 0.0),
        "underlying_price",
        0.0,
        "the expiry's underlying has no price",
    ),
    (
        "old_quote",
        pl.col("minutes_old") > MOST_MINUTES_OLD,
        "minutes_old",
        MOST_MINUTES_OLD,
        "older than the snapshot",
    ),
    ("no_time", pl.col("quote_time").is_null(), "bid", None, "the quote does not tell its time"),
)

Finding = tuple[str | None, str, float | None, float | None, str]


def findings(snapshot: Snapshot) -> pl.DataFrame:
    """Return one row per oddity: contract_id (null for all), finding, value, threshold, why."""
    options = quoted(snapshot)
    rows = [*_of_snapshot(snapshot, options), *_of_names(snapshot, options)]
    return pl.concat([pl.DataFrame(rows, schema=SCHEMA, orient="row"), _of_quotes(snapshot)])


def staleness(snapshot: Snapshot, now: datetime) -> str | None:
    """Say how old a snapshot is and what of it has expired since; None within its own day."""
    age = now - snapshot.taken_at
    if age < timedelta(days=1):
        return None
    expiries = {option.expiration_date for option, _ in quoted(snapshot)}
    gone = sum(_expiry(day) <= now for day in expiries)
    return (
        f"the snapshot of {snapshot.symbol} was taken on {snapshot.taken_at:%Y-%m-%d %H:%M} UTC, "
        f"{age.days} days ago: {gone} of its {len(expiries)} expiries have passed since. It is "
        "valued at its own time; for today's market, take a new one"
    )


def _of_snapshot(snapshot: Snapshot, options: list[tuple[Option, Row]]) -> Iterator[Finding]:
    for part in snapshot.missing:
        yield None, "partial", None, None, part
    if snapshot.is_testnet:
        yield None, "testnet", None, None, "the exchange's test network: prices mean nothing"
    offset_s = snapshot.clock_offset_s
    if offset_s is not None and abs(offset_s) > MOST_CLOCK_OFFSET_S:
        said = f"our clock is {offset_s:+.0f} s off the exchange's, whose time is used"
        yield None, "clock", offset_s, MOST_CLOCK_OFFSET_S, said
    yield from _flat_vols(options)
    index = number(snapshot.index_price)
    own = [price for _, row in options if (price := number(row.get("underlying_price")))]
    if index and own:
        gap = min(abs(price / index - 1.0) for price in own)
        if gap > MOST_INDEX_GAP:
            said = f"the index {index} is far from every expiry's underlying"
            yield None, "index_apart", gap, MOST_INDEX_GAP, said


def _flat_vols(options: list[tuple[Option, Row]]) -> Iterator[Finding]:
    """All strikes at one vol, in every expiry with enough of them: invented prices."""
    vols: dict[date, list[float]] = defaultdict(list)
    for option, row in options:
        if vol := number(row.get("mark_iv")):
            vols[option.expiration_date].append(vol)
    told = [own for own in vols.values() if len(own) >= 2 * FEWEST_FLAT]  # calls and puts
    if told and all(min(own) == max(own) for own in told):
        yield None, "flat_vols", told[0][0], None, "no smile in any expiry: as test networks have"


def _of_names(snapshot: Snapshot, options: list[tuple[Option, Row]]) -> Iterator[Finding]:
    """Rows that are no option's, and listed options without a quote."""
    known = {name_of(row) for _, row in options}
    for row in [*snapshot.summaries, *snapshot.tickers]:
        name = name_of(row)
        if name not in known:
            yield name, "unknown_instrument", None, None, "the name is not that of an option"
    listed = {name_of(row): row for row in snapshot.instruments}
    for name in sorted(listed.keys() - known):
        yield name, "no_quote", None, None, "listed, but the exchange sent no quote"
    for name in sorted(known - listed.keys()) if listed else ():
        yield name, "not_listed", None, None, "quoted, but not among the listed instruments"
    for option, row in options:
        name = name_of(row)
        at = instant(listed.get(name, {}).get("expiration_timestamp"))
        if at is not None and at != _expiry(option.expiration_date):
            yield name, "other_expiry", None, None, f"expires at {at}, not at 08:00 UTC of its name"


def _of_quotes(snapshot: Snapshot) -> pl.DataFrame:
    """Return what the rules find in single quotes."""
    expiry = pl.col("expiration_date").dt.combine(EXPIRY).dt.replace_time_zone("UTC")
    left = (expiry - pl.lit(snapshot.taken_at)).dt.total_seconds() / 60.0
    age = (pl.lit(snapshot.taken_at) - pl.col("quote_time")).dt.total_seconds() / 60.0
    quotes = chain(snapshot).with_columns(minutes_left=left, minutes_old=age)
    return pl.concat(
        quotes.filter(is_broken).select(
            "contract_id",
            finding=pl.lit(name),
            value=pl.col(value).cast(pl.Float64),
            threshold=pl.lit(threshold, pl.Float64),
            explanation=pl.lit(said),
        )
        for name, is_broken, value, threshold, said in _RULES
    )


def _expiry(day: date) -> datetime:
    return datetime.combine(day, EXPIRY, UTC)
