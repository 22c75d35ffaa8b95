"""The simulated market as a source: what it serves, what it refuses, and its truth.

Belongs here: the `MarketSource` protocol and questions about the truth. Not here: how it is made.
"""

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from volsurf_resources.exchange_calendar import is_session, sessions
from volsurf_resources.simulated.bars import fund_bars, index_bars, zero_curve
from volsurf_resources.simulated.chain import SOURCE, clean_chain
from volsurf_resources.simulated.dirt import soil
from volsurf_resources.simulated.pricing import european_calls, price_chain
from volsurf_resources.simulated.world import FIRST_YEAR, FUNDS, REGIMES, World, make_world
from volsurf_resources.source import NoData

LAST_YEAR = 2028  # the world is made at least to here at once


class SimulatedMarket:
    """A market whose prices come from one law, with quotes as dirty as asked for.

    Parameters
    ----------
    seed
        Everything is a function of (seed, symbol, date), whatever the order of asking.
    symbols
        Some of SPY, QQQ, IWM.
    dirt
        Share of the contracts of a chain that are spoilt, evenly in every way of
        :class:`~volsurf_resources.simulated.dirt.Dirt`; 0 is a clean market.
    fail_on
        Sessions whose chain the source pretends not to have.
    """

    def __init__(
        self,
        seed: int = 7,
        symbols: Sequence[str] = tuple(FUNDS),
        dirt: float = 0.01,
        fail_on: Collection[date] = (),
    ) -> None:
        if unknown := set(symbols) - set(FUNDS):
            raise ValueError(f"the simulated market lists {', '.join(FUNDS)}, was asked {unknown}")
        if not (seed >= 0 and 0.0 <= dirt <= 0.5):
            raise ValueError(f"needs seed >= 0 and 0 <= dirt <= 0.5, was {seed}, {dirt}")
        self._seed, self._symbols, self._dirt = seed, tuple(symbols), dirt
        self._fail_on = frozenset(fail_on)

    @property
    def name(self) -> str:
        """Word for `data_source`."""
        return SOURCE

    def chain(self, symbol: str, session: date) -> pl.DataFrame:
        """Return the quoted chain, dirt included."""
        return self._soiled(symbol, session)[0]

    def dirt_of(self, symbol: str, session: date) -> pl.DataFrame:
        """Return (contract_id, dirt): which contracts of the chain were spoilt, and how."""
        return self._soiled(symbol, session)[1]

    def underlying(self, symbol: str, start: date, end: date) -> pl.DataFrame:
        """Return daily bars, both ends included."""
        days = self._days(start, end) if symbol in self._symbols else []
        return fund_bars(self._world(end), self._seed, symbol, days)

    def rates(self, session: date) -> pl.DataFrame:
        """Return the zero curve of the session."""
        self._refuse_closed(session)
        return zero_curve(self._world(session), session)

    def index_levels(self, start: date, end: date) -> pl.DataFrame:
        """Return bars of VIX and VIX3M, from the law that prices SPY's options."""
        return index_bars(self._world(end), self._days(start, end))

    def sessions(self, symbol: str, start: date, end: date) -> Sequence[date]:
        """Return the sessions whose chain is there."""
        if symbol not in self._symbols:
            return []
        return [day for day in self._days(start, end) if day not in self._fail_on]

    def truth(self, symbol: str, session: date) -> pl.DataFrame:
        """Return one row per expiry: what the pipeline should find, and the law behind it.

        Columns: expiration_date, tte_years, forward, discount_factor, atm_vol (Black's, at the
        forward), regime, and the parameters of :class:`~volsurf_math.bates.Bates`.
        """
        self._refuse(symbol, session)
        world = self._world(session)
        law = world.law(symbol, session)
        terms = price_chain(world, symbol, session).terms
        rows: list[dict[str, Any]] = [
            {
                "expiration_date": term.expiry.day,
                "tte_years": term.tte,
                "forward": term.forward,
                "discount_factor": term.discount_factor,
                "atm_vol": float(european_calls(law, term, np.array([term.forward]))[1][0]),
                "regime": self.regime(session),
                **{name: getattr(law, name) for name in law.__slots__},
            }
            for term in terms
        ]
        return pl.DataFrame(rows)

    def true_vol(
        self, symbol: str, session: date, expiration_date: date, strike: ArrayLike
    ) -> NDArray[np.float64]:
        """Return Black's volatility of true European prices; NaN where they carry none.

        Raises NoData if the expiry is not listed.
        """
        self._refuse(symbol, session)
        world = self._world(session)
        for term in price_chain(world, symbol, session).terms:
            if term.expiry.day == expiration_date:
                strikes = np.asarray(strike, dtype=np.float64)
                return european_calls(world.law(symbol, session), term, strikes)[1]
        raise NoData(f"{symbol} lists no expiry {expiration_date} on {session}")

    def regime(self, session: date) -> str:
        """Return calm, normal or stressed."""
        self._refuse_closed(session)
        world = self._world(session)
        return REGIMES[world.path.regime[world.index[session]]]

    def _soiled(self, symbol: str, session: date) -> tuple[pl.DataFrame, pl.DataFrame]:
        self._refuse(symbol, session)
        world = self._world(session)
        clean = clean_chain(world, self._seed, symbol, session)
        return soil(clean, world, self._seed, symbol, session, self._dirt)

    def _world(self, day: date) -> World:
        return make_world(self._seed, max(day.year, LAST_YEAR))

    def _days(self, start: date, end: date) -> list[date]:
        return sessions(max(start, date(FIRST_YEAR, 1, 1)), end)

    def _refuse(self, symbol: str, session: date) -> None:
        if symbol not in self._symbols:
            raise NoData(f"the simulated market lists {', '.join(self._symbols)}, not {symbol}")
        self._refuse_closed(session)
        if session in self._fail_on:
            raise NoData(f"the simulated market was told to have no chain on {session}")

    @staticmethod
    def _refuse_closed(session: date) -> None:
        if not is_session(session):
            raise NoData(f"{session} is no session of the exchange")
        if session.year < FIRST_YEAR:
            raise NoData(f"the simulated market starts in {FIRST_YEAR}, was asked for {session}")
