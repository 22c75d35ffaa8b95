"""Symbology, styles and settlement: the listing rules as published."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volsurf_resources.contracts import (
    Contract,
    exercise_style_of,
    is_adjusted_root,
    is_index,
    osi,
    parse_osi,
    roots_of,
    settlement_of,
    symbol_of,
)


@pytest.mark.parametrize(
    ("name", "root", "day", "option_type", "strike"),
    [  # as printed in the OSI and in vendors' documentation
        ("SPY   240315C00510000", "SPY", date(2024, 3, 15), "CALL", 510.0),
        ("SPXW  261016P05800000", "SPXW", date(2026, 10, 16), "PUT", 5800.0),
        ("AAPL1 140621C00092860", "AAPL1", date(2014, 6, 21), "CALL", 92.86),
        ("XYZ   100212P99999999", "XYZ", date(2010, 2, 12), "PUT", 99999.999),
    ],
)
def test_osi_names_say_what_is_documented(name, root, day, option_type, strike):
    said = Contract(root=root, expiration_date=day, option_type=option_type, strike=strike)
    assert len(name) == 21
    assert parse_osi(name) == said
    assert parse_osi(name.replace(" ", "")) == said  # compact form
    assert osi(root, day, option_type, strike) == name


@given(
    root=st.from_regex(r"[A-Z]{1,5}[0-9]?", fullmatch=True),
    day=st.dates(date(2001, 1, 1), date(2068, 12, 31)),
    option_type=st.sampled_from(["CALL", "PUT"]),
    thousandths=st.integers(0, 99_999_999),
)
def test_osi_round_trip(root, day, option_type, thousandths):
    name = osi(root, day, option_type, thousandths / 1000)
    assert len(name) == 21
    said = parse_osi(name)
    assert (said.root, said.expiration_date, said.option_type) == (root, day, option_type)
    assert round(said.strike * 1000) == thousandths


@pytest.mark.parametrize(
    "name",
    ["", "SPY", "SPY240315X00510000", "SPY240315C0051000", "TOOLONG240315C00510000", "spy"],
)
def test_what_is_no_osi_name_is_refused(name):
    with pytest.raises(ValueError, match="is no OSI name"):
        parse_osi(name)


def test_an_impossible_date_in_a_name_is_refused():
    with pytest.raises(ValueError, match="unconverted data remains"):
        parse_osi("SPY   241399C00510000")


@pytest.mark.parametrize(
    ("root", "strike"), [("", 10.0), ("SEVENTH", 10.0), ("SPY", 1e5), ("SPY", -1.0)]
)
def test_what_osi_cannot_hold_is_refused(root, strike):
    with pytest.raises(ValueError, match="OSI needs"):
        osi(root, date(2024, 3, 15), "CALL", strike)


@pytest.mark.parametrize(
    ("root", "listed", "settlement"),
    [
        ("SPX", date(2026, 10, 16), "AM"),  # third Friday
        ("SPXW", date(2026, 10, 16), "PM"),  # same date, other root
        ("SPX", date(2019, 4, 18), "AM"),  # third Friday is Good Friday
        ("SPX", date(2014, 6, 21), "AM"),  # dated on the Saturday
        ("SPXW", date(2026, 10, 30), "PM"),
        ("NDX", date(2026, 10, 16), "AM"),
        ("NDXP", date(2026, 10, 16), "PM"),
        ("RUT", date(2026, 10, 16), "AM"),
        ("RUTW", date(2026, 10, 14), "PM"),
        ("XSP", date(2026, 10, 16), "PM"),
        ("VIX", date(2016, 6, 15), "AM"),  # Wednesday
        ("VIXW", date(2026, 10, 28), "AM"),
        ("SPY", date(2026, 10, 16), "PM"),
        ("AAPL", date(2014, 6, 21), "PM"),
    ],
)
def test_settlement(root, listed, settlement):
    assert settlement_of(root, listed) == settlement


def test_roots_and_their_underlying():
    assert roots_of("SPX") == ("SPX", "SPXW")
    assert roots_of("SPY") == ("SPY",)
    assert symbol_of("SPXW") == "SPX"
    assert symbol_of("SPY") == "SPY"
    for symbol in ("SPX", "NDX", "RUT", "VIX", "SPY"):
        assert all(symbol_of(root) == symbol for root in roots_of(symbol))


def test_exercise_style():
    assert {root: exercise_style_of(root) for root in ("SPX", "SPXW", "XSP", "VIX", "RUTW")} == (
        dict.fromkeys(("SPX", "SPXW", "XSP", "VIX", "RUTW"), "european")
    )
    assert {exercise_style_of(root) for root in ("SPY", "QQQ", "AAPL", "OEX")} == {"american"}


def test_indices():
    assert all(map(is_index, ("SPX", "VIX", "XSP")))
    assert not any(map(is_index, ("SPY", "AAPL")))


@pytest.mark.parametrize(
    ("root", "symbol", "adjusted"),
    [
        ("AAPL1", "AAPL", True),
        ("1AAPL", "AAPL", True),
        ("AAPL7", "AAPL", True),
        ("AAPL", "AAPL", False),
        ("SPXW", "SPX", False),
    ],
)
def test_adjusted_roots(root, symbol, adjusted):
    assert is_adjusted_root(root, symbol) is adjusted
