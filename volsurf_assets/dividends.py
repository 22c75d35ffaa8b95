"""Cash dividends still to come, as far as the past tells.

Belongs here: projecting the payments of an underlying from its bars. Not here: what they do to a
forward (`forwards`) or to early exercise (volsurf_math).
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from volsurf_resources.exchange_calendar import last_trading_day

DIVIDEND_HISTORY = 520  # sessions: two years of ex-dates, with a margin
DIVIDEND_GROWTH = (0.8, 1.25)  # bounds of what a year may add
DIVIDEND_UNCERTAINTY = 0.10  # standard error of an expected amount, relative
EX_DATE_SLACK = timedelta(days=14)  # how far from its date of last year a dividend may come
CLOSE_TO_OPEN_DAYS = 6.5 / 24.0  # a dividend leaves the price at the open of its ex-date

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Dividends:
    """Cash dividends still to come, in years from the quote.

    `std_errors` are those of the amounts, all in one direction: the growth itself may not last.
    `is_year_known` says whether the history reaches far enough back to expect anything from it.
    """

    times: Array
    amounts: Array
    std_errors: Array
    is_year_known: bool


def expected_dividends(history: pl.DataFrame, symbol: str, day: date) -> Dividends:
    """Project the last year's cash dividends ahead: same weekdays, grown as they last grew.

    The third Friday of March comes again as the third Friday of March, the session before if that
    is a holiday; what is overdue is due tomorrow, until it is given up.

    What will be paid is not known on `day`; this estimate uses nothing later than `day`. Growth is
    that of the last year's sum over the year before, 1 without two years of as many payments.
    """
    past = history.filter((pl.col("symbol") == symbol) & (pl.col("quote_date") <= day))
    rows = past.filter(pl.col("dividend") > 0.0)
    paid = list(rows.select("quote_date", "dividend").iter_rows())
    year = timedelta(weeks=52)
    oldest = day - year - EX_DATE_SLACK
    due = [(ex, cash) for ex, cash in paid if ex > oldest and not _paid_near(paid, _again(ex, 1))]
    former = [cash for ex, _ in due for cash in _paid_near(paid, _again(ex, -1))]
    growth = 1.0
    if due and len(former) == len(due):
        growth = float(np.clip(sum(cash for _, cash in due) / sum(former), *DIVIDEND_GROWTH))
    coming = [
        (max((last_trading_day(_again(ex, n)) - day).days, 1), cash * growth**n, growth**n - 1.0)
        for n in range(1, 4)
        for ex, cash in due
    ]
    days, amounts, grown = np.array(coming, dtype=np.float64).reshape(-1, 3).T.copy()
    return Dividends(
        times=(days - CLOSE_TO_OPEN_DAYS) / 365.0,
        amounts=amounts,
        std_errors=amounts * np.hypot(DIVIDEND_UNCERTAINTY, grown),
        is_year_known=bool((past["quote_date"] <= day - year + EX_DATE_SLACK).any()),
    )


def _again(ex: date, years: int) -> date:
    """Return the same weekday of the same week of the month, some years later."""
    first = date(ex.year + years, ex.month, 1)
    weeks = (ex.day - 1) // 7
    return first + timedelta(days=(ex.weekday() - first.weekday()) % 7 + 7 * weeks)


def _paid_near(paid: list[tuple[date, float]], ex: date) -> list[float]:
    """Return the payment that stands for an expected ex-date; nothing where there was none."""
    return [cash for other, cash in paid if abs(other - ex) <= EX_DATE_SLACK][:1]
