"""Units, times and odd numbers of the vendor, on its own samples."""

from datetime import UTC, date, datetime
from math import log

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.resources.theta.samples import (
    GREEKS_SAMPLE,
    INDEX_SAMPLE,
    OPEN_INTEREST_SAMPLE,
    OPTION_EOD_SAMPLE,
    STOCK_SAMPLE,
    read,
)
from volsurf_resources.source import Unreadable
from volsurf_resources.theta import translation
from volsurf_resources.theta.curve import market_rates
from volsurf_resources.theta.endpoints import (
    INDEX_EOD,
    OPTION_EOD,
    OPTION_GREEKS_EOD,
    OPTION_OPEN_INTEREST,
    STOCK_EOD,
    STOCK_QUOTE_AT,
)
from volsurf_tables.market import RAW_OPTIONS_CHAINS

CLOSE = datetime(2024, 11, 4, 21, 0, tzinfo=UTC)  # 16:00 in New York, standard time


def greeks_with(**changes: str) -> dict:
    header, row = GREEKS_SAMPLE.strip().split("\r\n")
    fields = dict(zip(header.split(","), row.split(","), strict=True)) | changes
    body = f"{header}\r\n{','.join(fields.values())}\r\n"
    return translation.greeks_quotes(read(OPTION_GREEKS_EOD, body)).row(0, named=True)


def test_greeks_come_in_our_units_and_utc():
    row = greeks_with()
    assert row["vendor_iv"] == 0.3334
    assert row["vendor_theta"] == pytest.approx(-0.3892 * 365.0)
    assert (row["vendor_vega"], row["vendor_rho"], row["vendor_gamma"]) == (8.9221, 1.4334, 0.0495)
    assert row["underlying_price"] == 221.87
    assert row["underlying_time"] == datetime(2024, 11, 4, 22, 15, 28, 710000, tzinfo=UTC)
    assert (row["quote_date"], row["quote_time"]) == (date(2024, 11, 4), CLOSE)


@pytest.mark.parametrize(
    "unsolved", [{"implied_vol": "0.0000", "delta": "1.0000"}, {"iv_error": "100.0000"}]
)
def test_an_unsolved_volatility_is_null_with_its_greeks(unsolved):
    row = greeks_with(**unsolved)
    vendor = [value for name, value in row.items() if name.startswith("vendor_")]
    assert vendor == [None] * 6
    assert row["bid"] == 4.10


@pytest.mark.parametrize(
    ("column", "ours", "value"),
    [
        ("implied_vol", "vendor_iv", "214748.3646"),
        ("implied_vol", "vendor_iv", "100.5"),
        ("delta", "vendor_delta", "-21474.8365"),
        ("delta", "vendor_delta", "1.2"),
        ("vega", "vendor_vega", "21474.8365"),
        ("theta", "vendor_theta", "-214748.3646"),
    ],
)
def test_overflows_and_impossible_values_are_null(column, ours, value):
    row = greeks_with(**{column: value})
    assert row[ours] is None
    assert row["vendor_rho"] == 1.4334


def test_quotes_without_greeks_are_handed_on_as_received():
    crossed = OPTION_EOD_SAMPLE.replace("52.05", "-1.0").replace("52.45", "0.0")
    row = translation.eod_quotes(read(OPTION_EOD, crossed)).row(0, named=True)
    assert (row["bid"], row["ask"], row["last"], row["volume"]) == (-1.0, 0.0, 52.40, 10.0)
    assert (row["root"], row["expiration_date"], row["strike"], row["option_type"]) == (
        "AAPL",
        date(2024, 11, 15),
        170.0,
        "CALL",
    )
    assert row["quote_time"] == CLOSE


def test_of_duplicates_the_last_is_kept():
    header, _, row = OPTION_EOD_SAMPLE.partition("\r\n")
    later = row.replace("52.05", "52.10").replace("170.000", "170.0")
    quotes = translation.eod_quotes(read(OPTION_EOD, f"{header}\r\n{row}{later}"))
    assert quotes["bid"].to_list() == [52.10]


def test_a_row_without_a_contract_is_unreadable():
    nameless = OPTION_EOD_SAMPLE.replace("170.000", "abc")
    with pytest.raises(Unreadable, match="a contract needs symbol, expiration, strike"):
        translation.eod_quotes(read(OPTION_EOD, nameless))


def test_open_interest_describes_the_session_before_its_message():
    told = translation.open_interest(read(OPTION_OPEN_INTEREST, OPEN_INTEREST_SAMPLE))
    row = told.row(0, named=True)
    assert row["quote_date"] == date(2024, 11, 4)  # a Monday
    assert row["open_interest_date"] == date(2024, 11, 1)
    assert row["open_interest"] == 2732.0


def test_absent_open_interest_is_zero_only_where_the_root_had_an_answer():
    quotes = translation.eod_quotes(read(OPTION_EOD, OPTION_EOD_SAMPLE))
    told = translation.open_interest(read(OPTION_OPEN_INTEREST, OPEN_INTEREST_SAMPLE))
    beside = translation.chain(quotes, told, "AAPL", "EOD").row(0, named=True)
    assert (beside["open_interest"], beside["open_interest_date"]) == (0.0, date(2024, 11, 1))
    alone = translation.chain(quotes, told.clear(), "AAPL", "EOD").row(0, named=True)
    assert (alone["open_interest"], alone["open_interest_date"]) == (None, None)


def test_a_chain_carries_identity_and_listing():
    quotes = translation.eod_quotes(read(OPTION_EOD, OPTION_EOD_SAMPLE))
    none = translation.open_interest(read(OPTION_OPEN_INTEREST, OPEN_INTEREST_SAMPLE)).clear()
    closes = translation.underlying_at_close(read(STOCK_EOD, STOCK_SAMPLE))
    chain = translation.chain(translation.with_underlying(quotes, closes), none, "AAPL", "EOD")
    row = chain.row(0, named=True)
    assert row["contract_id"] == "AAPL  241115C00170000"
    assert (row["settlement"], row["exercise_style"], row["is_adjusted"]) == (
        "PM",
        "american",
        False,
    )
    assert (row["price_unit"], row["data_source"], row["snapshot"]) == ("USD", "theta", "EOD")
    assert chain.columns == [
        name for name in RAW_OPTIONS_CHAINS.schema if name in RAW_OPTIONS_CHAINS.content
    ]


def test_adjusted_roots_and_saturday_expiries_are_kept_as_received():
    old = OPTION_EOD_SAMPLE.replace("AAPL,2024-11-15", "AAPL1,2012-06-16")
    old = old.replace("2024-11-04T17", "2012-06-15T17")
    none = translation.open_interest(read(OPTION_OPEN_INTEREST, OPEN_INTEREST_SAMPLE)).clear()
    row = translation.chain(translation.eod_quotes(read(OPTION_EOD, old)), none, "AAPL", "EOD").row(
        0, named=True
    )
    assert row["is_adjusted"]
    assert row["expiration_date"] == date(2012, 6, 16)
    assert row["contract_id"] == "AAPL1 120616C00170000"


def test_bars_drop_the_vendors_zeros_and_ignore_its_quotes():
    bars = translation.underlying_prices(read(STOCK_EOD, STOCK_SAMPLE), "AAPL")
    assert bars["close"].to_list() == [185.64, 181.91]
    assert bars["dividend"].to_list() == [None, None]
    untraded = INDEX_SAMPLE.replace("5725.15,5741.43,5696.51,5712.69", "0.00,0.00,0.00,0.00")
    assert translation.index_levels(read(INDEX_EOD, INDEX_SAMPLE), "SPX")["close"].item() == 5712.69
    assert translation.index_levels(read(INDEX_EOD, untraded), "SPX")["close"].item() is None


def test_a_one_sided_stock_quote_gives_no_underlying_price():
    body = "timestamp,bid,ask\n2024-11-04T15:45:00.91,221.0,221.1\n2024-11-05T15:45:00,0.0,221.1\n"
    spots = translation.underlying_at(read(STOCK_QUOTE_AT, body))
    assert spots["underlying_price"].to_list() == [pytest.approx(221.05), None]
    assert spots["underlying_time"][0] == datetime(2024, 11, 4, 20, 45, 0, 910000, tzinfo=UTC)


def test_rates_are_continuous_and_older_than_the_session():
    prints = pl.DataFrame(
        [
            ("SOFR", date(2025, 11, 5), 3.91),
            ("SOFR", date(2025, 11, 6), 9.99),
            ("TREASURY_M6", date(2025, 11, 4), 4.00),
            ("TREASURY_M6", date(2025, 11, 5), 4.27),
            ("TREASURY_M6", date(2025, 11, 6), 9.99),
            ("TREASURY_Y1", date(2025, 11, 3), 4.00),
        ],
        schema=["series", "created", "rate"],
        orient="row",
    )
    curve = market_rates(prints, date(2025, 11, 6))
    assert curve["curve_date"].unique().to_list() == [date(2025, 11, 5)]
    assert curve["source"].to_list() == ["SOFR", "TREASURY_M6"]  # Y1 belongs to an older curve
    overnight, half_year = curve["zero_rate"]
    assert overnight == pytest.approx(365.0 * log(1.0 + 0.0391 / 360.0))
    assert half_year == pytest.approx(0.042251, abs=5e-7)  # 2 ln(1 + 0.0427/2)
    whole = prints.vstack(prints[-1:].with_columns(created=date(2025, 11, 4)))
    newest_whole = market_rates(whole, date(2025, 11, 6)).filter(tenor_years=0.5)
    assert newest_whole["curve_date"].item() == date(2025, 11, 4)
    assert_frame_equal(market_rates(prints.clear(), date(2025, 11, 6)), curve.clear())
