"""How one table is made from one session: for assets, replays and look-ahead proofs alike.

Belongs here: freshness, computing, storing and proving of one partition. Not here: Dagster, nor
what any table computes (its family's module). A recipe treats each symbol alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from volsurf_assets.proofs import Contents, Proofs, upstream_of
from volsurf_assets.session import Session
from volsurf_resources.lake import Lake, Written
from volsurf_resources.lake_errors import BadFile
from volsurf_resources.provenance import Provenance
from volsurf_resources.settings import Settings
from volsurf_tables.table import Table

Compute = Callable[[Session], pl.DataFrame]
Picture = Callable[[pl.DataFrame], str]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a computed table is made by.

    `reads` are its upstream tables (its own past it may read as well), `code_version` grows
    whenever `compute` would give other numbers, `picture` draws a Markdown picture of the rows.
    """

    table: Table
    compute: Compute
    reads: tuple[Table, ...]
    code_version: str
    picture: Picture | None = None
    kinds: tuple[str, ...] = ()

    def session(
        self, lake: Lake, settings: Settings, day: date, symbols: Sequence[str] = ()
    ) -> Session:
        """Open the lake as this recipe may see it on `day`: its upstream, and its own past."""
        declared = tuple(table.name for table in (*self.reads, self.table))
        narrowed = tuple(symbols) if self.table.has_symbol else ()
        return Session(lake, settings, day, narrowed, declared)

    def stale_symbols(
        self, lake: Lake, settings: Settings, day: date, contents: Contents | None = None
    ) -> tuple[str, ...] | None:
        """Return the symbols to make again: none if all is fresh, None for the whole partition."""
        return Proofs(lake).stale(
            self.table.name, day, self._made_by(settings), contents or Contents(lake)
        )

    def make(self, session: Session, run_id: str = "") -> Written:
        """Compute and store what a session asks for, and remember what from."""
        frame = self.compute(session)
        written = session.lake.replace(
            self.table.name,
            session.day,
            frame,
            symbols=session.symbols or None,
            provenance=Provenance(
                code_version=self.code_version,
                settings_hash=session.settings.fingerprint,
                run_id=run_id,
                source="computed",
                upstream=upstream_of(session),
            ),
        )
        Proofs(session.lake).keep(self.table.name, session, self._made_by(session.settings))
        return written

    def refresh(
        self,
        lake: Lake,
        settings: Settings,
        day: date,
        *,
        symbols: Sequence[str] = (),
        force: bool = False,
        run_id: str = "",
    ) -> Written | None:
        """Make what is stale of a partition, of some symbols only if asked; None if it is fresh."""
        wanted: tuple[str, ...] | None = tuple(symbols) or None
        if not force:
            stale = self.stale_symbols(lake, settings, day)
            if stale is not None:
                wanted = tuple(s for s in stale if wanted is None or s in wanted)
                if not wanted:
                    return None
        try:
            return self.make(self.session(lake, settings, day, wanted or ()), run_id)
        except BadFile:
            if not wanted:
                raise
        # Single symbols cannot be put into a damaged file; the whole partition can replace it.
        return self.make(self.session(lake, settings, day), run_id)

    def _made_by(self, settings: Settings) -> str:
        return f"{self.table.version}|{self.code_version}|{settings.fingerprint}"
