"""A lake of coins: snapshots taken from the loopback exchange, replayed through every recipe.

Belongs here: a chain with enough strikes for smiles, and filling a lake with it.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path

from tests.assets.pipeline import LATER, settings_of
from tests.resources.deribit.clockwork import Clock, client_of
from tests.resources.deribit.exchange import DAYS_TO_EXPIRY, SPOT, Exchange
from volsurf_assets.graph import RECIPES
from volsurf_assets.intake import Intake, Stored
from volsurf_resources.deribit import Deribit, RecordedDeribit
from volsurf_resources.lake import Lake
from volsurf_resources.settings import Settings

COINS_DAY = date(2026, 2, 20)
EARLY = datetime(2026, 2, 20, 7, 30, 5, tzinfo=UTC)
LATE = datetime(2026, 2, 20, 13, 0, 7, tzinfo=UTC)
SHARES = (
    *(0.75, 0.8, 0.85, 0.9, 0.93, 0.95, 0.96, 0.97, 0.98, 0.99),
    *(1.0, 1.01, 1.02, 1.03, 1.04, 1.07, 1.1, 1.15, 1.2, 1.3),
)


class FullExchange(Exchange):
    """The loopback exchange with strikes enough for smiles."""

    days_to_expiry = DAYS_TO_EXPIRY

    def names(self, symbol: str) -> list[str]:
        today, spot = self.now().date(), SPOT[symbol]
        digits = 4 if spot < 10 else -2 if spot > 10_000 else 0
        expiries = [date.fromordinal(today.toordinal() + n) for n in self.days_to_expiry]
        return [
            f"{symbol}-{day.day}{day:%b}".upper() + f"{day:%y}-{strike}-{side}"
            for day in expiries
            for strike in (f"{round(spot * s, digits):g}".replace(".", "d") for s in SHARES)
            for side in "CP"
        ]


def record(
    folder: Path,
    symbol: str,
    *moments: datetime,
    days_to_expiry: tuple[int, ...] = DAYS_TO_EXPIRY,
    **changes: dict[str, object],
) -> None:
    """Keep a snapshot of each moment; `changes` are fields of single instruments' summaries."""
    for moment in moments:
        clock = Clock(moment)
        with FullExchange(clock.now) as exchange:
            exchange.days_to_expiry = days_to_expiry
            exchange.changes = {name.replace("_", "-"): row for name, row in changes.items()}
            client = client_of(exchange.url, clock)
            with Deribit(recordings=folder, client=client) as source:
                source.record(symbol)


def coin_settings(home: Path, *symbols: str, **named: object) -> Settings:
    coins = ",".join(symbols or ("BTC",))
    return settings_of(home, volsurf_market="crypto", crypto_symbols=coins, **named)


def fill_coins(settings: Settings, days: Iterable[date] = (COINS_DAY,)) -> tuple[Lake, Stored]:
    """Bring recorded days through every table; return the lake and what the last day's fetch said.

    The recordings lie in the home.
    """
    lake = Lake(settings.lake_root, calendar=settings.calendar)
    source = RecordedDeribit(settings.recordings_path)
    for day in days:
        intake = Intake(lake, source, settings, lambda: LATER, settings.symbols)
        intake.underlying(day, [day])
        stored = intake.chains(day)
        intake.rates(day)
        intake.indices(day, [day])
        for recipe in RECIPES:
            recipe.refresh(lake, settings, day)
    return lake, stored
