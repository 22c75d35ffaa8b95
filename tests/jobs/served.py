"""A code location for `dagster dev`: the product's own, on a source that lacks some sessions.

Which sessions it lacks stands in `lacking.txt` of the home and may change while it is served.
"""

from datetime import UTC, date, datetime

import polars as pl

from volsurf_jobs.definitions import definitions_for
from volsurf_resources.settings import Settings
from volsurf_resources.simulated import SimulatedMarket
from volsurf_resources.source import NoData


class Gappy(SimulatedMarket):
    def chain(self, symbol: str, session: date) -> pl.DataFrame:
        lacking = (Settings().volsurf_home / "lacking.txt").read_text().split()
        if str(session) in lacking:
            raise NoData(f"the vendor has no chain of {symbol} on {session}")
        return super().chain(symbol, session)


defs = definitions_for(
    Settings(),
    source=Gappy(symbols=("SPY",)),
    clock=lambda: datetime(2026, 11, 16, 12, tzinfo=UTC),
)
