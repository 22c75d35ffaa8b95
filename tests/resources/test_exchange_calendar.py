"""The calendar against an independent one, and the instants to which options run."""

import warnings
from datetime import UTC, date, datetime, timedelta

import exchange_calendars
import pytest

from volsurf_resources.exchange_calendar import (
    closures,
    early_closes,
    easter,
    expiry_time,
    holidays,
    is_session,
    last_sessions,
    last_trading_day,
    latest_closed_session,
    previous_session,
    session_close,
    session_open,
    sessions,
    third_friday,
)

FIRST, LAST = date(2001, 1, 1), date(2027, 12, 31)


@pytest.fixture(scope="module")
def oracle() -> exchange_calendars.ExchangeCalendar:
    with warnings.catch_warnings(action="ignore"):  # the oracle's own use of pandas
        return exchange_calendars.get_calendar("XNYS", start=str(FIRST), end=str(LAST))


def test_every_session_of_27_years_is_the_oracle_s(oracle):
    assert sessions(FIRST, LAST) == [stamp.date() for stamp in oracle.sessions]


def test_every_opening_and_closing_bell_is_the_oracle_s(oracle):
    ours = [(session_open(day), session_close(day)) for day in sessions(FIRST, LAST)]
    bells = oracle.schedule
    theirs = zip(bells["open"].dt.to_pydatetime(), bells["close"].dt.to_pydatetime(), strict=True)
    assert ours == list(theirs)


def test_every_early_close_is_the_oracle_s(oracle):
    ours = [day for year in range(2001, 2028) for day in sorted(early_closes(year))]
    assert ours == [stamp.date() for stamp in oracle.early_closes]


# The exchange's published holidays and early closes; 2022 to 2027.
PUBLISHED = {
    2022: ("0117 0221 0415 0530 0620 0704 0905 1124 1226", "1125"),
    2023: ("0102 0116 0220 0407 0529 0619 0704 0904 1123 1225", "0703 1124"),
    2024: ("0101 0115 0219 0329 0527 0619 0704 0902 1128 1225", "0703 1129 1224"),
    2025: ("0101 0109 0120 0217 0418 0526 0619 0704 0901 1127 1225", "0703 1128 1224"),
    2026: ("0101 0119 0216 0403 0525 0619 0703 0907 1126 1225", "1127 1224"),
    2027: ("0101 0118 0215 0326 0531 0618 0705 0906 1125 1224", "1126"),
}


@pytest.mark.parametrize("year", PUBLISHED)
def test_published_holidays(year):
    closed, early = PUBLISHED[year]
    assert sorted(f"{day:%m%d}" for day in holidays(year)) == closed.split()
    assert sorted(f"{day:%m%d}" for day in early_closes(year)) == early.split()


@pytest.mark.parametrize(
    ("year", "sunday"),  # Meeus, Astronomical Algorithms, ch. 8, and the almanac
    [
        (1818, date(1818, 3, 22)),
        (1954, date(1954, 4, 18)),
        (1991, date(1991, 3, 31)),
        (2000, date(2000, 4, 23)),
        (2019, date(2019, 4, 21)),
        (2038, date(2038, 4, 25)),
    ],
)
def test_easter(year, sunday):
    assert easter(year) == sunday


def test_easter_is_a_sunday_of_spring():
    for year in range(1900, 2200):
        assert easter(year).weekday() == 6
        assert date(year, 3, 22) <= easter(year) <= date(year, 4, 25)


@pytest.mark.parametrize(
    ("settlement", "listed", "instant"),
    [
        # an ordinary third Friday in winter time: one list, two instants
        ("AM", date(2026, 11, 20), datetime(2026, 11, 20, 14, 30, tzinfo=UTC)),
        ("PM", date(2026, 11, 20), datetime(2026, 11, 20, 21, 0, tzinfo=UTC)),
        # the same in daylight-saving time
        ("AM", date(2026, 7, 17), datetime(2026, 7, 17, 13, 30, tzinfo=UTC)),
        ("PM", date(2026, 7, 17), datetime(2026, 7, 17, 20, 0, tzinfo=UTC)),
        # Good Friday on a third Friday: the Thursday before
        ("AM", date(2019, 4, 19), datetime(2019, 4, 18, 13, 30, tzinfo=UTC)),
        ("PM", date(2022, 4, 15), datetime(2022, 4, 14, 20, 0, tzinfo=UTC)),
        # early close after Thanksgiving: 13:00 in New York
        ("PM", date(2026, 11, 27), datetime(2026, 11, 27, 18, 0, tzinfo=UTC)),
        ("AM", date(2026, 11, 27), datetime(2026, 11, 27, 14, 30, tzinfo=UTC)),
        # monthlies were dated on the Saturday until January 2015
        ("PM", date(2014, 6, 21), datetime(2014, 6, 20, 20, 0, tzinfo=UTC)),
        ("AM", date(2015, 1, 17), datetime(2015, 1, 16, 14, 30, tzinfo=UTC)),
        # crypto knows no sessions
        ("0800UTC", date(2026, 12, 25), datetime(2026, 12, 25, 8, 0, tzinfo=UTC)),
        ("0800UTC", date(2026, 11, 21), datetime(2026, 11, 21, 8, 0, tzinfo=UTC)),
    ],
)
def test_expiry_instant(settlement, listed, instant):
    assert expiry_time(settlement, listed) == instant


def test_deribit_expiry_is_that_of_its_own_timestamp():
    # BTC-25DEC26-70000-C: expiration_timestamp 1798185600000 ms in the exchange's answer
    assert expiry_time("0800UTC", date(2026, 12, 25)).timestamp() == 1_798_185_600


def test_am_and_pm_of_one_date_are_6_and_a_half_hours_apart():
    gap = expiry_time("PM", date(2026, 11, 20)) - expiry_time("AM", date(2026, 11, 20))
    assert gap == timedelta(hours=6, minutes=30)


def test_unknown_settlement_is_refused():
    with pytest.raises(ValueError, match="AM, PM or 0800UTC, was 'NOON'"):
        expiry_time("NOON", date(2026, 11, 20))


def test_last_trading_day_steps_back_over_holidays_and_weekends():
    assert last_trading_day(date(2019, 4, 19)) == date(2019, 4, 18)
    assert last_trading_day(date(2014, 6, 21)) == date(2014, 6, 20)
    assert last_trading_day(date(2026, 11, 20)) == date(2026, 11, 20)


@pytest.mark.parametrize(
    ("now", "latest"),
    [
        (datetime(2026, 11, 20, 20, 59, 59, tzinfo=UTC), date(2026, 11, 19)),
        (datetime(2026, 11, 20, 21, 0, 0, tzinfo=UTC), date(2026, 11, 20)),
        (datetime(2026, 11, 22, 12, 0, tzinfo=UTC), date(2026, 11, 20)),  # Sunday
        (datetime(2026, 11, 26, 23, 0, tzinfo=UTC), date(2026, 11, 25)),  # Thanksgiving
        (datetime(2026, 11, 27, 18, 0, tzinfo=UTC), date(2026, 11, 27)),  # early close
        (datetime(2026, 11, 21, 3, 0, tzinfo=UTC), date(2026, 11, 20)),  # still Friday there
    ],
)
def test_latest_closed_session(now, latest):
    assert latest_closed_session(now) == latest


def test_previous_and_last_sessions():
    assert previous_session(date(2026, 11, 27)) == date(2026, 11, 25)
    assert previous_session(date(2026, 11, 22)) == date(2026, 11, 20)
    assert last_sessions(date(2026, 11, 29), 3) == [
        date(2026, 11, 24),
        date(2026, 11, 25),
        date(2026, 11, 27),
    ]
    assert last_sessions(date(2026, 11, 27), 1) == [date(2026, 11, 27)]
    assert last_sessions(date(2026, 11, 27), 0) == []


def test_no_session_in_an_empty_range():
    assert sessions(date(2026, 11, 21), date(2026, 11, 22)) == []
    assert sessions(date(2026, 11, 22), date(2026, 11, 20)) == []


def test_third_friday_is_between_15_and_21():
    for year in range(2001, 2028):
        for month in range(1, 13):
            day = third_friday(year, month)
            assert day.weekday() == 4
            assert 15 <= day.day <= 21


def test_weekdays_are_sessions_or_closures():
    closed = set(closures(2001, 2027))
    for n in range((LAST - FIRST).days + 1):
        day = FIRST + timedelta(days=n)
        assert is_session(day) != (day.weekday() >= 5 or day in closed)
