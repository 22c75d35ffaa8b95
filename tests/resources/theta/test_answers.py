"""The CSV reader, on the vendor's own published samples and on every way they can be damaged."""

from datetime import date, datetime

import polars as pl
import pytest

from tests.resources.theta.samples import (
    EXPIRATIONS_SAMPLE,
    GREEKS_SAMPLE,
    INDEX_SAMPLE,
    OPEN_INTEREST_SAMPLE,
    OPTION_EOD_SAMPLE,
    RATES_SAMPLE,
    STOCK_SAMPLE,
    read,
)
from volsurf_resources.source import Unreadable
from volsurf_resources.theta.answers import CutBody
from volsurf_resources.theta.endpoints import (
    INDEX_EOD,
    OPTION_EOD,
    OPTION_EXPIRATIONS,
    OPTION_GREEKS_EOD,
    OPTION_OPEN_INTEREST,
    RATES,
    STOCK_EOD,
)

SAMPLES = [
    (OPTION_EOD, OPTION_EOD_SAMPLE, 1),
    (OPTION_OPEN_INTEREST, OPEN_INTEREST_SAMPLE, 1),
    (OPTION_GREEKS_EOD, GREEKS_SAMPLE, 1),
    (STOCK_EOD, STOCK_SAMPLE, 2),
    (INDEX_EOD, INDEX_SAMPLE, 1),
    (RATES, RATES_SAMPLE, 3),
    (OPTION_EXPIRATIONS, EXPIRATIONS_SAMPLE, 2),
]


@pytest.mark.parametrize(("endpoint", "body", "rows"), SAMPLES, ids=lambda value: str(value)[:12])
def test_published_samples_arrive_complete_and_typed(endpoint, body, rows):
    frame = read(endpoint, body)
    assert frame.schema == pl.Schema(endpoint.columns)
    assert frame.height == rows
    assert frame.null_count().sum_horizontal().item() == 0


def test_fractions_of_any_length_are_read_unpadded():
    stamps = read(STOCK_EOD, STOCK_SAMPLE)["created"].to_list()
    assert stamps == [
        datetime(2024, 1, 2, 17, 17, 53, 606000),
        datetime(2024, 1, 4, 17, 17, 6, 20000),
    ]
    (opened,) = read(OPTION_GREEKS_EOD, GREEKS_SAMPLE)["underlying_timestamp"]
    assert opened == datetime(2024, 11, 4, 17, 15, 28, 710000)


def test_both_date_styles_and_leading_blanks_are_read():
    dates = read(RATES, RATES_SAMPLE)["created"].to_list()
    assert dates == [date(2025, 11, 4), date(2025, 11, 5), date(2025, 11, 8)]


def test_columns_are_found_by_name_whatever_their_order_and_company():
    header = "note,open_interest,right,timestamp,strike,symbol,expiration"
    body = f"{header}\nx,7,PUT,2024-11-04T06:30:13,275.5,AAPL,2026-01-16\n"
    assert read(OPTION_OPEN_INTEREST, body).row(0, named=True) == {
        "symbol": "AAPL",
        "expiration": date(2026, 1, 16),
        "strike": 275.5,
        "right": "PUT",
        "timestamp": datetime(2024, 11, 4, 6, 30, 13),
        "open_interest": 7.0,
    }


def test_a_missing_column_is_named_with_its_endpoint():
    body = OPEN_INTEREST_SAMPLE.replace("open_interest", "interest")
    with pytest.raises(Unreadable, match=r"/option/history/open_interest .*'open_interest'"):
        read(OPTION_OPEN_INTEREST, body)


@pytest.mark.parametrize("ending", ["\r\n", "\n", "", "\r\n\r\n"])
def test_line_ends_and_blank_lines_do_not_matter(ending):
    body = RATES_SAMPLE.rstrip().replace("\r\n", "\r\n\r\n", 1) + ending
    assert read(RATES, body).equals(read(RATES, RATES_SAMPLE))


@pytest.mark.parametrize("lost", [3, 20, 60])
def test_a_line_without_all_its_fields_at_the_end_is_a_cut_body(lost):
    body = (OPTION_EOD_SAMPLE + OPTION_EOD_SAMPLE.partition("\r\n")[2]).rstrip()
    with pytest.raises(CutBody):
        read(OPTION_EOD, body[:-lost])


def test_an_empty_body_is_a_cut_body_and_a_header_alone_is_no_rows():
    with pytest.raises(CutBody):
        read(RATES, "")
    assert read(RATES, "created,rate\r\n").schema == pl.Schema(RATES.columns)


def test_a_short_line_in_the_middle_is_unreadable():
    with pytest.raises(Unreadable, match="needs 2 fields in every line, was b'2025-11-05'"):
        read(RATES, "created,rate\n2025-11-05\n2025-11-06,3.9\n")


@pytest.mark.parametrize("body", ["<!DOCTYPE html><html></html>\n", '{"response":[]}\n', "[]\n"])
def test_html_or_json_instead_of_csv_says_who_may_be_listening(body):
    with pytest.raises(Unreadable, match="another program listening at THETA_API_URL"):
        read(RATES, body)


def test_numbers_that_are_none_become_null_and_dates_that_are_none_are_unreadable():
    body = "created,rate\n2025-11-04,four\n2025-11-05,NaN\n2025-11-06,\n2025-11-07,inf\n"
    assert read(RATES, body)["rate"].to_list() == [None] * 4
    with pytest.raises(Unreadable, match="needs dates in created, was 'yesterday'"):
        read(RATES, "created,rate\nyesterday,4.0\n")


@pytest.mark.parametrize("step", [1, 7, 64])
def test_the_size_of_the_pieces_does_not_matter(monkeypatch, step):
    monkeypatch.setattr("volsurf_resources.theta.answers.BLOCK_BYTES", 200)
    header, _, row = OPTION_EOD_SAMPLE.partition("\r\n")
    body = header + "\r\n" + row * 20
    whole = read(OPTION_EOD, body)
    assert whole.height == 20
    assert read(OPTION_EOD, body, step).equals(whole)
