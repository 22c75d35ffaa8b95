"""Dirty quotes: each way in which a vendor's chain goes wrong, applied to a stated share of it.

Belongs here: how to spoil a clean chain, and the record of what was spoilt. Not here: the rules
that find it again. A spoilt contract's neighbours stay clean, so that each defect stands alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from math import log
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from volsurf_math.black import undiscounted_price
from volsurf_resources.contracts import osi
from volsurf_resources.exchange_calendar import previous_session
from volsurf_resources.simulated.pricing import Priced, Term, price_chain, quote_time
from volsurf_resources.simulated.streams import Purpose, stream
from volsurf_resources.simulated.world import World

TICK = 0.05  # a multiple of every class's tick


class Dirt(StrEnum):
    """What can be wrong with a quote."""

    NEGATIVE_PRICE = "negative_price"
    CROSSED = "crossed"
    NO_QUOTE = "no_quote"
    WIDE_SPREAD = "wide_spread"  # over 20 % of the mid
    VERY_WIDE_SPREAD = "very_wide_spread"  # over 50 %
    VERTICAL = "vertical"  # bid above the ask of a strike that is worth more
    BUTTERFLY = "butterfly"  # bid above the chord of the neighbours' asks
    CALENDAR = "calendar"  # bid above the ask of the next expiry, same strike
    PARITY_GAP = "parity_gap"
    VOL_TOO_HIGH = "vol_too_high"  # over 200 %
    VOL_TOO_LOW = "vol_too_low"  # under 5 %
    BELOW_INTRINSIC = "below_intrinsic"
    STALE = "stale"  # quoted on the session before
    DUPLICATE = "duplicate"  # the same row twice
    CONFLICTING_DUPLICATE = "conflicting_duplicate"  # the contract again, with other prices
    EXPIRED = "expired"
    ADJUSTED = "adjusted"  # a root with a digit


Change = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """The clean chain as columns, in the order of `priced`."""

    priced: Priced
    bid: NDArray[np.float64]
    ask: NDArray[np.float64]
    symbol: str
    session: date
    spot: float

    def term(self, i: int) -> Term:
        """Return the expiry of row i."""
        return self.priced.terms[int(self.priced.term[i])]

    def moneyness(self, i: int) -> float:
        """Log-moneyness of row i, positive out of the money."""
        k = log(self.priced.strike[i] / self.term(i).forward)
        return k if self.priced.is_call[i] else -k

    def beside(self, i: int, step: int) -> int | None:
        """Row of the next strike up or down in the same expiry and type."""
        j, p = i + step, self.priced
        if not 0 <= j < p.strike.size:
            return None
        same = p.term[i] == p.term[j] and p.is_call[i] == p.is_call[j]
        return j if same else None

    def later(self, i: int) -> int | None:
        """Row of the same strike and type in the next expiry."""
        p = self.priced
        twins = (p.term == p.term[i] + 1) & (p.is_call == p.is_call[i])
        found = np.flatnonzero(twins & (p.strike == p.strike[i]))
        return int(found[0]) if found.size else None


def soil(
    clean: pl.DataFrame, world: World, seed: int, symbol: str, session: date, share: float
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the chain with a `share` of its contracts spoilt, and (contract_id, dirt)."""
    rng = stream(seed, Purpose.DIRT, symbol, session)
    book = Book(
        priced=price_chain(world, symbol, session),
        bid=clean["bid"].to_numpy(),
        ask=clean["ask"].to_numpy(),
        symbol=symbol,
        session=session,
        spot=world.spot(symbol, session),
    )
    changes: dict[int, Change] = {}
    extra: list[Change] = []
    record: list[tuple[str, str]] = []
    for i, dirt, change in _choose(book, share, rng):
        row = clean.row(i, named=True) | change
        if dirt in ADDED:
            extra.append(row)
        else:
            changes[i] = row
        record.append((row["contract_id"], dirt.value))
    return _replace(clean, changes, extra), pl.DataFrame(
        record, schema={"contract_id": pl.String, "dirt": pl.String}, orient="row"
    )


def _choose(book: Book, share: float, rng: np.random.Generator) -> list[tuple[int, Dirt, Change]]:
    """Pick rows at random for every kind in turn, each at a distance from the others."""
    n = book.bid.size
    wanted = share * n / len(Dirt)
    taken = np.zeros(n + 2, dtype=bool)  # row i at i + 1
    chosen = []
    for dirt in Dirt:
        left = int(wanted + rng.random())
        for i in rng.permutation(n):
            if left == 0:
                break
            if taken[i : i + 3].any():
                continue
            change = SPOIL[dirt](book, int(i))
            if change is not None:
                taken[i + 1] = True
                left -= 1
                chosen.append((int(i), dirt, change))
    return chosen


def _replace(clean: pl.DataFrame, changes: dict[int, Change], extra: list[Change]) -> pl.DataFrame:
    """Return the chain with rows exchanged and added, sorted by contract."""
    if not changes and not extra:
        return clean
    kept = clean.with_row_index().filter(~pl.col("index").is_in(list(changes))).drop("index")
    dirty = pl.DataFrame([*changes.values(), *extra], schema=clean.schema, orient="row")
    order = ["expiration_date", "option_type", "strike", "root"]
    return pl.concat([kept, dirty]).sort(order, maintain_order=True)


def _up(price: float) -> float:
    """The price rounded up to a tick."""
    return round(float(np.ceil(price / TICK - 1e-9) * TICK), 2)


def _around(middle: float, half: float) -> Change | None:
    """A two-sided quote, or None where it would have no bid."""
    bid, ask = _up(middle - half) - TICK, _up(middle + half)
    return {"bid": round(bid, 2), "ask": ask} if bid > 0.0 else None


def _negative_price(book: Book, i: int) -> Change:
    return {"bid": -max(float(book.bid[i]), TICK)}


def _crossed(book: Book, i: int) -> Change | None:
    bid, ask = float(book.bid[i]), float(book.ask[i])
    return {"bid": _up(ask + TICK), "ask": bid} if bid > 0.0 else None


def _no_quote(book: Book, i: int) -> Change:
    return {"bid": 0.0, "ask": 0.0}


def _widened(share: float) -> Callable[[Book, int], Change | None]:
    """Make a spoiler that widens the quote to a share of its mid."""

    def widen(book: Book, i: int) -> Change | None:
        middle = 0.5 * float(book.bid[i] + book.ask[i])
        return _around(middle, 0.5 * share * middle) if middle > 10.0 * TICK else None

    return widen


def _vertical(book: Book, i: int) -> Change | None:
    dearer = book.beside(i, -1 if book.priced.is_call[i] else 1)
    if dearer is None or book.bid[i] <= 0.0:
        return None
    bid = _up(float(book.ask[dearer]) * 1.01 + TICK)
    return {"bid": bid, "ask": _up(bid + float(book.ask[i] - book.bid[i]))}


def _butterfly(book: Book, i: int) -> Change | None:
    below, above = book.beside(i, -1), book.beside(i, 1)
    if below is None or above is None or book.bid[i] <= 0.0:
        return None
    strike = book.priced.strike
    weight = (strike[above] - strike[i]) / (strike[above] - strike[below])
    chord = float(weight * book.ask[below] + (1.0 - weight) * book.ask[above])
    bid = _up(chord + TICK)
    ask = _up(bid + TICK)
    is_vertical_kept = ask < max(float(book.bid[below]), float(book.bid[above]))
    return {"bid": bid, "ask": ask} if is_vertical_kept else None


def _calendar(book: Book, i: int) -> Change | None:
    later = book.later(i)
    if later is None or book.bid[i] <= 0.0 or book.moneyness(i) < 0.0:
        return None
    bid = _up(float(book.ask[later]) * 1.05 + TICK)
    return {"bid": bid, "ask": _up(bid + float(book.ask[i] - book.bid[i]))}


def _parity_gap(book: Book, i: int) -> Change | None:
    """Move past the bounds that early exercise leaves: D F - K <= C - P <= S - D K."""
    term = book.term(i)
    if book.bid[i] <= 0.0 or abs(book.moneyness(i)) > 0.05 or term.tte < 7 / 365:
        return None
    freedom = book.spot - term.discount_factor * term.forward
    freedom += (1.0 - term.discount_factor) * float(book.priced.strike[i])
    shift = freedom + 0.005 * book.spot + 4.0 * float(book.ask[i] - book.bid[i])
    return {"bid": _up(book.bid[i] + shift), "ask": _up(book.ask[i] + shift)}


def _repriced(vol: float, lowest: float, highest: float) -> Callable[[Book, int], Change | None]:
    """Make a spoiler that quotes Black at a `vol`, for log-moneyness from lowest to highest."""

    def reprice(book: Book, i: int) -> Change | None:
        term, strike = book.term(i), book.priced.strike[i]
        if term.tte < 7 / 365 or not lowest <= book.moneyness(i) <= highest:
            return None
        price = term.discount_factor * float(
            undiscounted_price(term.forward, strike, vol**2 * term.tte, book.priced.is_call[i])
        )
        return _around(price, TICK) if price > 10.0 * TICK else None

    return reprice


def _below_intrinsic(book: Book, i: int) -> Change | None:
    term = book.term(i)
    if book.moneyness(i) > -0.03:
        return None
    intrinsic = term.discount_factor * abs(term.forward - float(book.priced.strike[i]))
    return _around(0.95 * intrinsic, 0.01 * intrinsic)


def _stale(book: Book, i: int) -> Change:
    return {"quote_time": quote_time(previous_session(book.session))}


def _duplicate(book: Book, i: int) -> Change:
    return {}


def _conflicting_duplicate(book: Book, i: int) -> Change | None:
    if book.bid[i] <= TICK:
        return None
    return {"bid": round(float(book.bid[i]) - TICK, 2), "ask": _up(float(book.ask[i]) + TICK)}


def _expired(book: Book, i: int) -> Change:
    day = previous_session(book.session)
    return {"expiration_date": day} | _named(book, i, book.symbol, day)


def _adjusted(book: Book, i: int) -> Change:
    root = f"{book.symbol}1"
    return {"root": root, "is_adjusted": True} | _named(book, i, root, book.term(i).expiry.day)


def _named(book: Book, i: int, root: str, day: date) -> Change:
    kind = "CALL" if book.priced.is_call[i] else "PUT"
    return {"contract_id": osi(root, day, kind, float(book.priced.strike[i]))}


ADDED = {Dirt.DUPLICATE, Dirt.CONFLICTING_DUPLICATE, Dirt.EXPIRED, Dirt.ADJUSTED}

SPOIL: dict[Dirt, Callable[[Book, int], Change | None]] = {
    Dirt.NEGATIVE_PRICE: _negative_price,
    Dirt.CROSSED: _crossed,
    Dirt.NO_QUOTE: _no_quote,
    Dirt.WIDE_SPREAD: _widened(0.35),
    Dirt.VERY_WIDE_SPREAD: _widened(0.8),
    Dirt.VERTICAL: _vertical,
    Dirt.BUTTERFLY: _butterfly,
    Dirt.CALENDAR: _calendar,
    Dirt.PARITY_GAP: _parity_gap,
    Dirt.VOL_TOO_HIGH: _repriced(2.5, 0.0, 0.5),
    Dirt.VOL_TOO_LOW: _repriced(0.03, 0.0, 0.02),
    Dirt.BELOW_INTRINSIC: _below_intrinsic,
    Dirt.STALE: _stale,
    Dirt.DUPLICATE: _duplicate,
    Dirt.CONFLICTING_DUPLICATE: _conflicting_duplicate,
    Dirt.EXPIRED: _expired,
    Dirt.ADJUSTED: _adjusted,
}
