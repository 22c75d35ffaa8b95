"""The sessions of the New York exchanges, by rule: which days trade, when they close.

Belongs here: holidays, early closes, opening hours, settlement instants. Not here: data.
Rules as published by NYSE; `tests/resources/test_exchange_calendar.py` compares every session with
an independent calendar.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
OPEN, CLOSE, EARLY_CLOSE = time(9, 30), time(16, 0), time(13, 0)

# Closures that follow no rule: attacks, storms, funerals of presidents.
_SPECIAL_CLOSURES = {
    *(date(2001, 9, day) for day in (11, 12, 13, 14)),
    date(2004, 6, 11),
    date(2007, 1, 2),
    date(2012, 10, 29),
    date(2012, 10, 30),
    date(2018, 12, 5),
    date(2025, 1, 9),
}
_SPECIAL_EARLY_CLOSES = {date(2003, 12, 26)}
_MONDAY, _THURSDAY, _FRIDAY, _SATURDAY, _SUNDAY = 0, 3, 4, 5, 6
_JUNETEENTH_SINCE = 2022


def easter(year: int) -> date:
    """Date of Easter Sunday (anonymous Gregorian algorithm, Meeus, ch. 8)."""
    a, b, c = year % 19, year // 100, year % 100
    h = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    t = (32 + 2 * (b % 4) + 2 * (c // 4) - h - c % 4) % 7
    m = (a + 11 * h + 22 * t) // 451
    month, day = divmod(h + t - 7 * m + 114, 31)
    return date(year, month, day + 1)


def _nth(year: int, month: int, weekday: int, n: int) -> date:
    """The n-th weekday of a month; n = -1 is the last one."""
    if n > 0:
        first = date(year, month, 1)
        return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (n - 1))
    last = (date(year, month, 28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    return last - timedelta(days=(last.weekday() - weekday) % 7)


def _observed(day: date) -> date:
    """Saturday holidays move to Friday, Sunday holidays to Monday."""
    return day + timedelta(days={_SATURDAY: -1, _SUNDAY: 1}.get(day.weekday(), 0))


@lru_cache(maxsize=256)
def holidays(year: int) -> frozenset[date]:
    """Weekdays of a year on which the exchange stays closed."""
    new_year = date(year, 1, 1)
    days = {
        _nth(year, 1, _MONDAY, 3),  # Martin Luther King
        _nth(year, 2, _MONDAY, 3),  # Presidents
        easter(year) - timedelta(days=2),  # Good Friday
        _nth(year, 5, _MONDAY, -1),  # Memorial
        _observed(date(year, 7, 4)),
        _nth(year, 9, _MONDAY, 1),  # Labor
        _nth(year, 11, _THURSDAY, 4),  # Thanksgiving
        _observed(date(year, 12, 25)),
    }
    if new_year.weekday() != _SATURDAY:  # never observed on the last day of a year
        days.add(_observed(new_year))
    if year >= _JUNETEENTH_SINCE:
        days.add(_observed(date(year, 6, 19)))
    return frozenset(days | {day for day in _SPECIAL_CLOSURES if day.year == year})


@lru_cache(maxsize=256)
def early_closes(year: int) -> frozenset[date]:
    """Sessions of a year that end at 13:00 in New York."""
    fourth, christmas = date(year, 7, 4), date(year, 12, 25)
    days = {_nth(year, 11, _THURSDAY, 4) + timedelta(days=1)}
    if fourth.weekday() in (1, 2, 3, 4):  # the day before is a session only then
        moved = year < 2013 and fourth.weekday() == _THURSDAY  # then Friday the fifth was short
        days.add(fourth + timedelta(days=1 if moved else -1))
    if christmas.weekday() in (1, 2, 3, 4):
        days.add(christmas - timedelta(days=1))
    days |= {day for day in _SPECIAL_EARLY_CLOSES if day.year == year}
    return frozenset(day for day in days if is_session(day))


def is_session(day: date) -> bool:
    """Whether the exchange trades on `day`."""
    return day.weekday() < _SATURDAY and day not in holidays(day.year)


def sessions(start: date, end: date) -> list[date]:
    """Return the sessions from `start` to `end`, both included."""
    days = (start + timedelta(days=n) for n in range((end - start).days + 1))
    return [day for day in days if is_session(day)]


def previous_session(day: date) -> date:
    """Return the last session before `day`."""
    day -= timedelta(days=1)
    while not is_session(day):
        day -= timedelta(days=1)
    return day


def last_sessions(until: date, n: int) -> list[date]:
    """Return the last `n` sessions up to and including `until`, oldest first."""
    found = [until] if is_session(until) else []
    while len(found) < n:
        found.append(previous_session(found[-1] if found else until))
    return found[:n][::-1]


def session_open(day: date) -> datetime:
    """Instant of the opening bell, in UTC."""
    return datetime.combine(day, OPEN, NEW_YORK).astimezone(UTC)


def session_close(day: date) -> datetime:
    """Instant of the closing bell, in UTC; 13:00 in New York on early closes."""
    at = EARLY_CLOSE if day in early_closes(day.year) else CLOSE
    return datetime.combine(day, at, NEW_YORK).astimezone(UTC)


def latest_closed_session(now: datetime) -> date:
    """Return the last session whose closing bell has rung at `now`."""
    today = now.astimezone(NEW_YORK).date()
    if is_session(today) and session_close(today) <= now:
        return today
    return previous_session(today)


def last_trading_day(expiration_date: date) -> date:
    """Return the last session up to an expiry date: old monthlies are dated on a Saturday."""
    return expiration_date if is_session(expiration_date) else previous_session(expiration_date)


def expiry_time(settlement: str, expiration_date: date) -> datetime:
    """Return the instant, in UTC, to which an option runs.

    AM settles on the opening of the expiry date, PM on its close (13:00 on early closes), 0800UTC
    at 08:00 UTC. An expiry dated on a day without session runs to the session before.
    """
    if settlement == "0800UTC":
        return datetime.combine(expiration_date, time(8, 0), UTC)
    day = last_trading_day(expiration_date)
    if settlement == "AM":
        return session_open(day)
    if settlement == "PM":
        return session_close(day)
    raise ValueError(f"settlement is AM, PM or 0800UTC, was {settlement!r}")


def third_friday(year: int, month: int) -> date:
    """Return the third Friday of a month: the standard monthly expiry."""
    return _nth(year, month, _FRIDAY, 3)


def closures(first_year: int, last_year: int) -> Sequence[date]:
    """Return every weekday of the years without a session, in order."""
    return sorted(day for year in range(first_year, last_year + 1) for day in holidays(year))
