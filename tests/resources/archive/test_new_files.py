"""The cursor by which a sensor learns of new and changed files."""

import os
from datetime import date

from volsurf_resources.archive import Archive

MAPPING = """
[chains.daily]
files = ["*.csv"]
file_date = "(\\\\d{8})"
[chains.daily.columns]
symbol = "symbol"
quote_date = "date"
expiration_date = "expiration"
strike = "strike"
option_type = "right"
bid = "bid"
ask = "ask"
"""
HEADER = "symbol,date,expiration,strike,right,bid,ask\n"


def day_file(day: str, symbol: str = "SPY") -> str:
    return f"{HEADER}{symbol},{day},2024-03-15,510,C,5.1,5.3\n"


def test_cursor_tells_what_is_new_once(archive, tmp_path):
    source = archive({"volsurf.toml": MAPPING, "d_20240301.csv": day_file("2024-03-01")})
    cursor, found = source.new_sessions()
    assert found == {"SPY": [date(2024, 3, 1)]}
    assert source.new_sessions(cursor) == (cursor, {})

    (tmp_path / "d_20240304.csv").write_text(day_file("2024-03-04"))
    (tmp_path / "d_20240303.csv").write_text(day_file("2024-03-03"))  # a Sunday
    cursor, found = source.new_sessions(cursor)
    assert found == {"SPY": [date(2024, 3, 4)]}

    path = tmp_path / "d_20240301.csv"
    path.write_text(day_file("2024-03-01", "QQQ"))
    os.utime(path, ns=(1, 1))
    _, found = Archive(tmp_path).new_sessions(cursor)
    assert found == {"QQQ": [date(2024, 3, 1)]}


def test_a_changed_file_is_read_again(archive, tmp_path):
    source = archive({"volsurf.toml": MAPPING, "d_20240301.csv": day_file("2024-03-01")})
    day = date(2024, 3, 1)
    assert source.chain("SPY", day)["ask"].to_list() == [5.3]
    (tmp_path / "d_20240301.csv").write_text(day_file("2024-03-01").replace("5.3", "5.45"))
    assert source.chain("SPY", day)["ask"].to_list() == [5.45]


def test_files_named_by_date_are_opened_only_for_it(archive, tmp_path):
    source = archive(
        {
            "volsurf.toml": MAPPING,
            "d_20240301.csv": day_file("2024-03-01"),
            "d_20240304.csv": HEADER + "SPY,no date,2024-03-15,510,C,5.1,5.3\n",
        }
    )
    assert source.chain("SPY", date(2024, 3, 1)).height == 1
    assert source.files_for("SPY", date(2024, 3, 1)) == [tmp_path / "d_20240301.csv"]
    assert source.problems == {}
    assert source.sessions("SPY", date(2024, 3, 1), date(2024, 3, 31)) == [date(2024, 3, 1)]
    assert list(source.problems) == ["d_20240304.csv"]


def test_names_that_tell_symbol_and_month_spare_opening_other_files(archive):
    mapping = MAPPING.replace("(\\\\d{8})", "_(\\\\d{6})").replace(
        'symbol = "symbol"', 'symbol = { file_name = "^([a-z]+)_" }'
    )
    source = archive(
        {
            "volsurf.toml": mapping,
            "spy_202403.csv": day_file("2024-03-01"),
            "spy_202402.csv": day_file("no date"),
            "qqq_202403.csv": day_file("no date"),
        }
    )
    march = (date(2024, 3, 1), date(2024, 3, 31))
    assert source.sessions("SPY", *march) == [date(2024, 3, 1)]
    assert source.chain("SPY", date(2024, 3, 1)).height == 1
    assert source.problems == {}
    assert source.sessions("QQQ", *march) == []
    assert list(source.problems) == ["qqq_202403.csv"]
