"""The quotes of one root as every smile model is given them, and which strikes are held out.

Belongs here: from a session's tables to arrays, once per root. Not here: which quotes are chosen
(`smile_points`), or any model.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from volsurf_assets.session import Session
from volsurf_assets.smile_points import Array, Mask, Points, every_fifth, points_of, points_to_fit
from volsurf_tables.quotes import IMPLIED_FORWARDS, OPTION_QUOTES

ROOT = ["symbol", "quote_date", "snapshot", "root"]


@dataclass(frozen=True, slots=True)
class RootQuotes:
    """Expiries of one root in order, and the quotes that their smiles are fitted to."""

    expiries: pl.DataFrame  # identity, tte_years, forward
    points: Points
    is_out: Mask  # one per quote: left out of the fit that is judged on it
    is_thin: Mask  # one per expiry: too few quotes for a fit

    @property
    def w(self) -> Array:
        """Quoted total variance."""
        return self.points.vol**2 * self.points.tte

    @property
    def tte(self) -> Array:
        """Years to each expiry."""
        return self.expiries["tte_years"].to_numpy()

    @property
    def slices(self) -> list[slice]:
        """Where each expiry's quotes lie."""
        ends = self.points.offsets.tolist()
        return [slice(*pair) for pair in itertools.pairwise(ends)]


def roots_of(session: Session) -> Iterator[RootQuotes]:
    """Gather the quotes of a session's roots."""
    settings = session.settings
    forwards = session.read(IMPLIED_FORWARDS)
    quotes = session.read(OPTION_QUOTES)
    for rows in quotes.partition_by("symbol", "snapshot", "root", maintain_order=True):
        own = forwards.join(rows.select(ROOT).unique(), on=ROOT).sort("expiration_date")
        expiries = own.select(*ROOT, "expiration_date", "tte_years", "forward")
        points = points_of(points_to_fit(rows, settings), expiries, settings)
        is_thin = np.diff(points.offsets) < settings.min_strikes_per_fit
        yield RootQuotes(expiries, points, every_fifth(points), is_thin)
