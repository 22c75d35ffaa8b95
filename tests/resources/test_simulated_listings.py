"""Listings: expiries that follow the calendar, strikes that stay once they are listed."""

from datetime import date

import numpy as np
import pytest

from volsurf_resources.exchange_calendar import is_session, sessions
from volsurf_resources.simulated import SimulatedMarket
from volsurf_resources.simulated.listings import MAIN, MINOR, expiries

CLEAN = SimulatedMarket(dirt=0.0)


def days_of(session: date, rules=MAIN) -> list[date]:
    return [expiry.day for expiry in expiries(session, rules)]


def test_every_expiry_is_a_session_and_todays_is_listed():
    for session in (date(2026, 8, 4), date(2024, 12, 24), date(2019, 4, 17)):
        found = days_of(session)
        assert all(is_session(day) for day in found)
        assert found == sorted(found)
        assert found[0] == session


def test_the_main_fund_lists_dailies_weeklies_monthlies_quarters_and_leaps():
    session = date(2026, 8, 4)
    found = days_of(session)
    assert found[:11] == sessions(session, date(2026, 8, 18))
    assert date(2026, 9, 25) in found  # a weekly
    assert date(2026, 9, 30) in found  # the end of a quarter
    assert date(2027, 2, 19) in found  # a monthly
    assert date(2029, 1, 19) in found  # LEAPS
    assert date(2028, 3, 17) not in found
    assert 28 <= len(found) <= 40
    assert len(days_of(session, MINOR)) < len(found)


def test_a_monthly_on_good_friday_moves_to_thursday():
    found = days_of(date(2019, 3, 1))
    assert date(2019, 4, 18) in found
    assert date(2019, 4, 19) not in found
    assert next(
        e for e in expiries(date(2019, 3, 1), MAIN) if e.day == date(2019, 4, 18)
    ).is_monthly


@pytest.mark.parametrize("symbol", ["SPY", "IWM"])
def test_contracts_once_listed_stay_until_they_expire(symbol):
    listed: set[str] = set()
    for session in sessions(date(2026, 7, 1), date(2026, 7, 31)):
        chain = CLEAN.chain(symbol, session)
        now = set(chain["contract_id"])
        gone = {name for name in listed - now if name[6:12] >= f"{session:%y%m%d}"}
        assert not gone, (session, sorted(gone)[:3])
        listed = now


@pytest.mark.parametrize(
    ("symbol", "fewest", "most"), [("SPY", 5000, 10_000), ("QQQ", 2000, 5000), ("IWM", 1000, 4000)]
)
def test_chains_have_the_size_of_real_ones(symbol, fewest, most):
    chain = CLEAN.chain(symbol, date(2026, 8, 4))
    assert fewest <= chain.height <= most
    spot = chain["underlying_price"][0]
    moneyness = chain["strike"] / spot
    assert moneyness.min() < 0.6
    assert moneyness.max() > 1.3
    near = chain["strike"].filter((moneyness - 1.0).abs() < 0.03).unique().sort()
    assert np.diff(near).max() == 1.0
