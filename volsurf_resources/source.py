"""What every market source offers, and what can go wrong with one.

Belongs here: the protocol and the errors. Not here: any vendor's words. What a caller should do::

    SourceError
    |-- NoData       move on: there is nothing for this symbol and session
    |-- TryLater     retry: the source is busy, starting, or not reachable just now
    |-- NotAllowed   fix the account or the request
    `-- Unreadable   fix the file or its mapping
"""

from collections.abc import Sequence
from datetime import date
from typing import Protocol, runtime_checkable

import polars as pl


class SourceError(Exception):
    """Base of all that a source can answer instead of data."""


class NoData(SourceError):
    """There is nothing for this request: a holiday, a ticker not yet listed, a gap."""


class TryLater(SourceError):
    """The same request may succeed after a pause; the client's own retries are used up."""


class NotAllowed(SourceError):
    """The account or the request is wrong; asking again changes nothing."""


class Unreadable(SourceError):
    """A file or answer cannot be understood: names the file, the column, the mapping."""


class MarketSource(Protocol):
    """A market that can be asked for chains, bars, rates and index levels.

    Every frame comes in the schema of its table (`volsurf_tables.market`) without
    `ingestion_timestamp`, which the asset adds; `snapshot` is "EOD" unless asked otherwise.
    Bad values (negative, crossed, not numbers as null) are handed on, never repaired.
    """

    @property
    def name(self) -> str:
        """Word for `data_source`: theta, simulated, or the archive's mapping."""

    def chain(self, symbol: str, session: date) -> pl.DataFrame:
        """Return the chain of one symbol and session; NoData if there is none."""

    def underlying(self, symbol: str, start: date, end: date) -> pl.DataFrame:
        """Return daily bars of `start` to `end`, both included; an empty frame if none."""

    def rates(self, session: date) -> pl.DataFrame:
        """Return the curve known at the session's end (curve_date <= session); NoData if none."""

    def index_levels(self, start: date, end: date) -> pl.DataFrame:
        """Return daily bars of the volatility indices; an empty frame if there are none."""

    def sessions(self, symbol: str, start: date, end: date) -> Sequence[date]:
        """Return the sessions of the range whose chain the source can serve, in order."""


@runtime_checkable
class TellsFindings(Protocol):
    """A source that says what is odd about what it received, beyond the rows themselves."""

    def findings(self, symbol: str, session: date) -> pl.DataFrame:
        """Return one row per oddity, with columns snapshot, finding, explanation at least."""
