"""The zero rates of one session, as those who discount read them.

Belongs here: from the table of rates to a rate at any tenor. Not here: where rates come from.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from volsurf_assets.session import Session
from volsurf_tables.market import MARKET_RATES

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Curve:
    """Zero rates of one session, linear in tenor and flat beyond the ends."""

    tenors: Array
    rates: Array

    def rate(self, tte: float) -> float | None:
        """Return the continuous zero rate at `tte` years; None without a curve."""
        return float(np.interp(tte, self.tenors, self.rates)) if self.tenors.size else None


def curve_of(session: Session) -> Curve:
    """Return the session's zero curve."""
    rates = session.read(MARKET_RATES).sort("tenor_years").drop_nulls("zero_rate")
    return Curve(rates["tenor_years"].to_numpy(), rates["zero_rate"].to_numpy())
