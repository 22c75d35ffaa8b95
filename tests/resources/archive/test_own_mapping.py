"""A user's own mapping: three layouts, one table; what the grammar refuses."""

import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from volsurf_resources.archive import Archive, load_mapping, shipped_mappings
from volsurf_resources.source import NoData, Unreadable

DAY = date(2024, 3, 1)

PLAIN = """
[chains.mine]
files = ["*.csv"]
separator = ";"
[chains.mine.columns]
symbol = "Ticker"
quote_date = { column = "Day", format = "%d.%m.%Y" }
expiration_date = { column = "Expiry", format = "%d.%m.%Y" }
strike = "K"
option_type = { column = "Right", words = { Call = "CALL", Put = "PUT" } }
bid = "Bid"
ask = "Ask"
last = "Close"
volume = "Vol"
open_interest = "OI"
vendor_iv = { column = "IV%", scale = 0.01 }
vendor_delta = "Delta"
"""
PLAIN_DATA = (
    "Ticker;Day;Expiry;K;Right;Open;High;Low;Close;Vol;OI;Bid;Ask;IV%;Delta\n"
    "spy;01.03.2024;15.03.2024;510.0;Call;5.0;5.5;4.8;5.2;100;2000;5.1;5.3;12.5;0.52\n"
    "spy;01.03.2024;15.03.2024;510.0;Put;4.0;4.5;3.8;4.2;90;1000;4.1;4.3;12.7;-0.48\n"
)

OCC = """
[chains.mine]
files = ["*.txt"]
[chains.mine.columns]
contract_id = "occ_symbol"
quote_date = { column = "t", format = "unix_s" }
quote_time = { column = "t", format = "unix_s" }
bid = "b"
ask = "a"
last = "c"
volume = "v"
open_interest = "oi"
vendor_iv = "sigma"
vendor_delta = "delta"
"""
OCC_DATA = (
    "occ_symbol,t,b,a,c,v,oi,sigma,delta\n"
    "SPY240315C00510000,1709326800,5.1,5.3,5.2,100,2000,0.125,0.52\n"
    "SPY240315P00510000,1709326800,4.1,4.3,4.2,90,1000,0.127,-0.48\n"
)

WIDE = """
[chains.mine]
files = ["*.csv"]
[chains.mine.columns]
symbol = { constant = "SPY" }
quote_date = { column = "date", format = "%Y%m%d" }
expiration_date = { column = "exp", format = "%Y%m%d" }
strike = { column = "strike1000", scale = 0.001 }
[chains.mine.call]
bid = "cb"
ask = "ca"
last = "cl"
volume = "cv"
open_interest = "coi"
vendor_iv = "civ"
vendor_delta = "cd"
[chains.mine.put]
bid = "pb"
ask = "pa"
last = "pl"
volume = "pv"
open_interest = "poi"
vendor_iv = "piv"
vendor_delta = "pd"
"""
WIDE_DATA = (
    "date,exp,strike1000,cb,ca,cl,cv,coi,civ,cd,pb,pa,pl,pv,poi,piv,pd\n"
    "20240301,20240315,510000,5.1,5.3,5.2,100,2000,0.125,0.52,4.1,4.3,4.2,90,1000,0.127,-0.48\n"
)


def test_three_layouts_map_to_the_same_table(archive, tmp_path):
    frames = []
    for name, mapping, data in (
        ("a.csv", PLAIN, PLAIN_DATA),
        ("b.txt", OCC, OCC_DATA),
        ("c.csv", WIDE, WIDE_DATA),
    ):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_text(data)
        (folder / "volsurf.toml").write_text('name = "mine"\n' + mapping)
        frames.append(Archive(folder).chain("SPY", DAY))
    assert frames[0].height == 2
    for other in frames[1:]:
        assert_frame_equal(frames[0], other)
    call = frames[0].to_dicts()[0]
    assert call["contract_id"] == "SPY   240315C00510000"
    assert call["quote_time"] == datetime(2024, 3, 1, 21, 0, tzinfo=UTC)
    assert (call["bid"], call["vendor_iv"], call["data_source"]) == (5.1, 0.125, "mine")


EXTENDING = """
extends = ["public_series"]
[underlying.daily_bars]
files = ["bars_*.csv"]
[underlying.daily_bars.columns]
symbol = { constant = "SPY" }
volume = false
"""


def test_a_mapping_changes_single_words_of_a_shipped_one(archive):
    mapping = EXTENDING + PLAIN.replace('["*.csv"]', '["x.csv"]')
    bars = "Date,Open,High,Low,Close\n2024-03-01,508,514,507,512.85\n"
    source = archive({"volsurf.toml": mapping, "x.csv": PLAIN_DATA, "bars_1.csv": bars})
    (bar,) = source.underlying("SPY", DAY, DAY).to_dicts()
    assert (bar["close"], bar["volume"], bar["split_ratio"]) == (512.85, None, 1.0)
    assert source.chain("SPY", DAY).height == 2


def test_a_named_mapping_wins_over_detection(archive):
    source = archive({"mine.toml": PLAIN, "x.csv": PLAIN_DATA}, "mine.toml")
    assert source.name == "mine"
    assert source.sessions("SPY", DAY, DAY) == [DAY]
    with pytest.raises(NoData, match="SPX"):
        source.chain("SPX", DAY)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("bid = ", "bidd = "), "unknown columns.*bidd.*known are"),
        (('bid = "Bid"', ""), "needs the columns.*bid"),
        (("files = ", "filez = "), "filez"),
        (('symbol = "Ticker"', "symbol = {}"), "exactly one of column"),
        (("[chains.mine]", "[chains.mine"), "no TOML"),
        (('"Ticker"', '{ column = "Ticker", scal = 2 }'), "scal"),
    ],
)
def test_grammar_errors_name_file_and_place(archive, change, message):
    with pytest.raises(Unreadable, match=rf"(?s)volsurf\.toml.*{message}"):
        archive({"volsurf.toml": PLAIN.replace(*change), "x.csv": PLAIN_DATA}).chain("SPY", DAY)


def test_unknown_mapping_lists_the_shipped_ones(archive):
    with pytest.raises(Unreadable, match=r"no mapping 'optiondx'.*optionsdx"):
        archive({"x.csv": PLAIN_DATA}, "optiondx")


def test_files_of_no_shipped_layout_say_how_to_write_one(archive):
    with pytest.raises(Unreadable, match=r"no shipped mapping.*volsurf\.toml.*archive\.md"):
        archive({"x.csv": PLAIN_DATA}).chain("SPY", DAY)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", "<html>Sign in</html>", "x.csv is a web page"),
        ("x.zip", b"PK\x03\x04 and no more", "x.zip is cut short or is no zip"),
    ],
)
def test_damaged_files_are_named_before_a_mapping_is_asked_for(archive, name, content, message):
    with pytest.raises(Unreadable, match=rf"{message}.*no shipped mapping"):
        archive({name: content}).chain("SPY", DAY)


def test_every_shipped_mapping_loads_and_tells_what_it_is():
    for name in shipped_mappings():
        mapping = load_mapping(name)
        assert mapping.name == name
        assert mapping.about


def test_the_example_of_the_documents_works(archive):
    text = (Path(__file__).parents[3] / "docs" / "archive.md").read_text()
    mapping = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)[0]
    data = re.findall(r"```text\n(.*?)```", text, flags=re.DOTALL)[0]
    source = archive({"volsurf.toml": mapping, "chains/2024-03-01.csv": data})
    (call,) = source.chain("SPY", DAY).to_dicts()
    assert (call["contract_id"], call["vendor_iv"]) == ("SPY   240315C00510000", 0.125)
    assert call["vendor_theta"] == pytest.approx(-0.21 * 365)


def test_the_documents_name_every_shipped_mapping():
    text = (Path(__file__).parents[3] / "docs" / "archive.md").read_text()
    assert all(f"| `{name}` |" in text for name in shipped_mappings())
