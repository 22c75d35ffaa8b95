"""Random streams of the simulated market, each addressed by what it is for.

Belongs here: the addressing, which makes every number independent of the order of asking.
"""

from datetime import date
from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a stream is drawn for; part of its address, so never renumber."""

    RETURNS = 1
    EXTREMES = 2
    JUMP_TIMES = 3
    JUMP_SIZES = 4
    REGIMES = 5
    RATES = 6
    SHARE_VOLUME = 7
    QUOTES = 8
    ACTIVITY = 9
    INTEREST = 10
    DIRT = 11


def stream(
    seed: int, purpose: Purpose, symbol: str = "", day: date | int = 0
) -> np.random.Generator:
    """Return the generator of one (seed, purpose, symbol, date or year)."""
    when = day.toordinal() if isinstance(day, date) else day
    address = (seed, int(purpose), int.from_bytes(symbol.encode(), "big"), when)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(address)))
