"""Static arbitrage among the quotes of one root: across strikes, and across expiries.

Belongs here: frame to arrays and the tests of `volsurf_math.arbitrage`. Not here: what a violation
means for a quote (`quotes` rejects the executable ones, `issues` lists all).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

EXECUTABLE = "executable"  # crossing the spread locks in a profit
MID_ONLY = "mid"  # only the mids contradict each other

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Violation:
    """One kind of violation over the rows of a root: which break it, and by how much (USD)."""

    rule: str
    severity: str
    breaks: Array
    size: Array


def static_violations(quotes: pl.DataFrame) -> Iterator[Violation]:
    """Test one root's usable quotes; a stale or crossed one must not accuse its neighbours.

    Takes the columns of `option_quotes`, `exercise_style` and `is_usable`, rows in any order.
    All is in dollars. Prices across strikes are judged as quoted. Across expiries European
    equivalents are, since an American premium need not grow with time at equal moneyness; an
    American quote in the money, whose equivalent is uncertain by more than its spread, is left out
    there.
    """
    from volsurf_math.arbitrage import butterfly_test, calendar_test, vertical_test

    strike, bid, ask, forward, df, premium = (
        quotes[name].to_numpy()
        for name in ("strike", "bid", "ask", "forward", "discount_factor", "early_exercise_premium")
    )
    same: dict[str, Any] = {
        "is_call": (quotes["option_type"] == "CALL").to_numpy(),
        "group": quotes["expiration_date"].rank("dense").to_numpy().astype(np.int64),
    }
    is_european = quotes["exercise_style"][0] == "european"
    width = np.nan_to_num(df, nan=1.0) if is_european else np.ones(strike.size)
    worth = np.where(quotes["is_usable"].to_numpy(), quotes["unit_value"].to_numpy(), np.nan)
    bid, ask = bid * worth, ask * worth
    is_outside = quotes["is_out_of_the_money"].to_numpy()
    off = np.where(is_outside | is_european, np.nan_to_num(premium), np.nan)
    tests = {
        "vertical": vertical_test(strike, bid, ask, discount_factor=width, **same),
        "butterfly": butterfly_test(strike, bid, ask, **same),
        "calendar": calendar_test(
            strike, bid - off, ask - off, forward=forward, discount_factor=df, **same
        ),
    }
    for name, test in tests.items():
        yield Violation(f"{name}_{EXECUTABLE}", "warning", test.is_executable, test.executable)
        yield Violation(f"{name}_{MID_ONLY}", "info", test.is_mid_only, test.mid)
