"""What is wrong with a file is said by name; what is wrong with a row is handed on."""

import zipfile
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path

import polars as pl
import pytest

from volsurf_resources.archive import Archive
from volsurf_resources.source import NoData, Unreadable

DAY = date(2024, 3, 1)
MAPPING = """
name = "mine"
[chains.daily]
files = ["*.csv", "*.zip", "*.parquet", "*.csv.gz"]
refuse = { column = "note", values = ["stale"], reason = "a stale copy", optional = true }
[chains.daily.columns]
symbol = "symbol"
quote_date = "date"
expiration_date = "expiration"
strike = "strike"
option_type = "right"
bid = "bid"
ask = "ask"
underlying_price = { column = "spot", optional = true }
"""
HEADER = "symbol,date,expiration,strike,right,bid,ask"
GOOD = "SPY,2024-03-01,2024-03-15,510,C,5.1,5.3"


def rows(*lines: str, header: str = HEADER) -> str:
    return "\n".join((header, *lines, ""))


@pytest.fixture
def opened(archive):
    def make(**files) -> Archive:
        named = {name.replace("__", "."): content for name, content in files.items()}
        return archive({"volsurf.toml": MAPPING, **named})

    return make


def zipped(text: str) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
        file.writestr("a.csv", text)
    return buffer.getvalue()


def test_missing_folder(tmp_path: Path):
    source = Archive(tmp_path / "nowhere")
    assert source.name == "archive"
    for ask in (lambda: source.chain("SPY", DAY), lambda: source.rates(DAY), source.new_sessions):
        with pytest.raises(Unreadable, match=r"nowhere does not exist"):
            ask()


def test_empty_folder(tmp_path: Path):
    source = Archive(tmp_path)
    with pytest.raises(Unreadable, match=r"has no \.csv, \.txt, \.zip or \.parquet"):
        source.chain("SPY", DAY)
    assert source.new_sessions() == ("{}", {})
    (tmp_path / "volsurf.toml").write_text(MAPPING)
    (tmp_path / "a.csv").write_text(rows(GOOD))
    assert source.new_sessions("{}")[1] == {"SPY": [DAY]}
    assert source.name == "mine"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a__csv", "", "a.csv is empty"),
        ("a__csv", " \r\n\n", "a.csv is empty"),
        ("a__csv", "<!DOCTYPE html><html><body>Sign in</body></html>", "a.csv is a web page"),
        ("a__csv", rows(GOOD).replace(",", ";"), "a.csv does not fit.*is the separator right"),
        ("a__csv", rows(GOOD, header=HEADER.replace("bid", "bidd")), r"a.csv.*mine.*\['bid'\]"),
        ("a__csv", rows(GOOD, GOOD[:20])[:-1], "a.csv ends in the middle of a line: 3 fields of 7"),
        ("a__csv", rows(GOOD.replace("2024-03-01", "1/3/24")), r"a.csv.*column date.*'1/3/24'"),
        ("a__csv", rows(), "a.csv.*no row with a symbol and a date"),
        ("a__zip", zipped(rows(GOOD))[:-30], "a.zip is cut short or is no zip"),
        ("a__zip", zipped(rows(GOOD)).replace(b"5.1", b"9.9"), "a.zip:a.csv is damaged"),
        ("a__zip", zipped("<html>"), "a.zip:a.csv is a web page"),
        ("a__parquet", b"PAR1 this is none PAR1", "a.parquet cannot be read"),
        ("a__csv__gz", b"\x1f\x8b this is none", "a.csv.gz is damaged"),
    ],
)
def test_unreadable_files_are_named(opened, name, content, message):
    source = opened(**{name: content})
    with pytest.raises(Unreadable, match=f"(?s){message}"):
        source.chain("SPY", DAY)
    assert len(source.problems) == 1
    assert source.sessions("SPY", DAY, DAY) == []


@pytest.mark.parametrize(
    ("old", "new", "column"),
    [
        ("5.1", "five", "bid"),
        ("2024-03-15", "mid March", "expiration"),
        ("510", "K510", "strike"),
        (",C,", ",straddle,", "right"),
        (",510,", ",,", "lack one of"),
    ],
)
def test_a_column_that_cannot_be_read_is_named(opened, old, new, column):
    source = opened(a__csv=rows(GOOD.replace(old, new)))
    with pytest.raises(Unreadable, match=f"(?s)a.csv .mapping mine, chains.daily.*{column}"):
        source.chain("SPY", DAY)


def test_a_line_with_too_many_fields_is_refused(opened):
    source = opened(a__csv=rows(GOOD, GOOD + ",1,2"))
    with pytest.raises(Unreadable, match=r"a\.csv .mapping mine, chains\.daily.*cannot be read"):
        source.chain("SPY", DAY)


def test_a_broken_file_does_not_hide_what_others_hold(opened):
    source = opened(a__csv=rows(GOOD), b__csv="<html>")
    assert source.chain("SPY", DAY).height == 1
    with pytest.raises(Unreadable, match=r"2024-03-04.*1 files cannot be read.*b\.csv"):
        source.chain("SPY", date(2024, 3, 4))


def test_bad_rows_are_handed_on(opened):
    lines = [
        GOOD,
        "SPY,2024-03-01,2024-03-15,515,C,-1.0,5.3",  # negative
        "SPY,2024-03-01,2024-03-15,520,C,NaN,inf",  # no numbers
        "SPY,2024-03-01,2024-03-15,525,C,six,5.3",  # text in one cell
        "SPY,2024-03-01,2024-03-15,530,C,6.0,5.3",  # crossed
        "SPY,2024-03-01,2024-02-16,510,C,0,0.01",  # expired
        "SPY,2024-03-01,2024-03-15,510,C,5.2,5.4",  # another quote of the first contract
        GOOD,  # exact duplicate
    ]
    chain = opened(a__csv=rows(*lines, "", ",,,,,,")).chain("SPY", DAY)
    quotes = {row["contract_id"]: (row["bid"], row["ask"]) for row in chain.to_dicts()}
    assert quotes == {
        "SPY   240216C00510000": (0.0, 0.01),
        "SPY   240315C00510000": (5.1, 5.3),
        "SPY   240315C00510000#2": (5.2, 5.4),
        "SPY   240315C00515000": (-1.0, 5.3),
        "SPY   240315C00520000": (None, None),
        "SPY   240315C00525000": (None, 5.3),
        "SPY   240315C00530000": (6.0, 5.3),
    }


def test_many_unreadable_cells_are_no_bad_rows_but_a_wrong_mapping(opened, tmp_path):
    prices = [f'"1,{n:03d}.50"' if n % 4 == 0 else str(n) for n in range(1, 41)]
    lines = [f"SPY,2024-03-01,2024-03-15,{500 + n},C,{p},9999" for n, p in enumerate(prices)]
    source = opened(a__csv=rows(*lines))
    with pytest.raises(Unreadable, match=r"column bid: 10 of 40 cells.*'1,004\.50'"):
        source.chain("SPY", DAY)
    told = MAPPING.replace('bid = "bid"', 'bid = { column = "bid", thousands = "," }')
    (tmp_path / "volsurf.toml").write_text(told)
    assert Archive(tmp_path).chain("SPY", DAY)["bid"].max() == 1040.5


def test_words_outside_the_table_are_refused(opened, tmp_path):
    source = opened(a__csv=rows(GOOD + ",morning", header=HEADER + ",settles"))
    told = MAPPING.replace('bid = "bid"', 'bid = "bid"\nsettlement = "settles"')
    (tmp_path / "volsurf.toml").write_text(told)
    with pytest.raises(Unreadable, match=r"settlement: column settles.*'morning'"):
        Archive(source.folder).chain("SPY", DAY)


def test_the_same_session_in_two_files_is_one_chain(opened):
    other = GOOD.replace("510", "515")
    chain = opened(a__csv=rows(GOOD), b__zip={"b.csv": rows(GOOD, other)}).chain("SPY", DAY)
    assert chain["strike"].to_list() == [510.0, 515.0]


def test_last_line_without_newline_is_whole_if_every_field_is_there(opened):
    assert opened(a__csv=rows(GOOD)[:-1]).chain("SPY", DAY).height == 1


def test_windows_text_with_mark_and_other_capitals(opened):
    text = "\ufeff" + rows(GOOD, header=HEADER.upper()).replace("\n", "\r\n")
    assert opened(a__csv=text).chain("SPY", DAY)["ask"].to_list() == [5.3]


def test_parquet_with_other_types(opened, tmp_path):
    frame = pl.DataFrame(
        {
            "symbol": ["SPY"],
            "date": [20240301],
            "expiration": [date(2024, 3, 15)],
            "strike": [510],
            "right": ["put"],
            "bid": ["5.1"],
            "ask": [float("nan")],
        }
    )
    frame.write_parquet(tmp_path / "a.parquet")
    mapping = MAPPING.replace('"date"', '{ column = "date", format = "%Y%m%d" }')
    (tmp_path / "volsurf.toml").write_text(mapping)
    (row,) = Archive(tmp_path).chain("SPY", DAY).to_dicts()
    assert (row["option_type"], row["strike"], row["bid"], row["ask"]) == ("PUT", 510.0, 5.1, None)


def test_naive_times_of_a_parquet_are_of_the_mappings_zone(opened, tmp_path):
    frame = pl.DataFrame(
        {
            "symbol": ["SPY"],
            "date": [datetime(2024, 3, 1, 15, 59)],
            "expiration": [date(2024, 3, 15)],
            "strike": [510.0],
            "right": ["C"],
            "bid": [5.1],
            "ask": [5.3],
        }
    )
    frame.write_parquet(tmp_path / "a.parquet")
    mapping = MAPPING.replace('bid = "bid"', 'bid = "bid"\nquote_time = "date"')
    (tmp_path / "volsurf.toml").write_text(mapping)
    (row,) = Archive(tmp_path).chain("SPY", DAY).to_dicts()
    assert row["quote_time"] == datetime(2024, 3, 1, 20, 59, tzinfo=UTC)


def test_no_data_says_what_there_is(opened):
    source = opened(a__csv=rows(GOOD, GOOD.replace("2024-03-01", "2024-03-05")))
    with pytest.raises(NoData, match=r"2024-03-03 \(Sunday\) is no session"):
        source.chain("SPY", date(2024, 3, 3))
    with pytest.raises(NoData, match="2 sessions from 2024-03-01 to 2024-03-05"):
        source.chain("SPY", date(2024, 3, 4))
    with pytest.raises(NoData, match=r"no chain of QQQ.*\['SPY'\].*\*\.csv"):
        source.chain("QQQ", DAY)
    with pytest.raises(NoData, match="no rates up to 2024-03-01"):
        source.rates(DAY)
    assert source.underlying("SPY", DAY, DAY).is_empty()
    assert source.index_levels(DAY, DAY).is_empty()


def test_a_stale_copy_is_refused_and_not_offered(opened):
    lines = (GOOD + ",", GOOD.replace("03-01", "03-04") + ",stale")
    source = opened(a__csv=rows(*lines, header=HEADER + ",note"))
    assert source.sessions("SPY", date(2024, 1, 1), date(2024, 12, 31)) == [DAY]
    with pytest.raises(NoData, match=r"2024-03-04 in a\.csv is a stale copy"):
        source.chain("SPY", date(2024, 3, 4))


def test_crypto_file_of_optionsdx_is_refused(archive):
    header = "[QUOTE_UNIXTIME], [QUOTE_DATE], [INSTRUMENT_NAME], [STRIKE], [BID_PRICE], [MARK_IV]"
    source = archive(
        {"btc_eod_202112.txt": f"{header}\n1, 2021-12-01, BTC, 1, 1, 1\n"}, "optionsdx"
    )
    with pytest.raises(Unreadable, match=r"btc_eod_202112\.txt.*instrument_name.*coin"):
        source.chain("BTC", date(2021, 12, 1))
