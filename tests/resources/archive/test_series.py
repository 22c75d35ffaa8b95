"""Bars, dividends, index levels and curves: one source per date, nothing known too early."""

from datetime import date
from math import log

import polars as pl
import pytest

from volsurf_resources.archive import Archive
from volsurf_resources.rates import par_to_zero, sofr_to_continuous
from volsurf_resources.source import NoData, Unreadable
from volsurf_tables.market import INDEX_LEVELS, MARKET_RATES, UNDERLYING_PRICES

MARCH = (date(2024, 3, 1), date(2024, 3, 31))
MAPPING = """
[underlying.raw]
files = ["bars.csv"]
prefer = { column = "from", order = ["best", "second"] }
[underlying.raw.columns]
symbol = "symbol"
quote_date = "date"
open = "open"
close = "close"

[underlying.adjusted]
files = ["bars.csv"]
label = "adjusted close"
last_resort = true
[underlying.adjusted.columns]
symbol = "symbol"
quote_date = "date"
close = "adj"

[dividends.cash]
files = ["dividends.csv"]
[dividends.cash.columns]
symbol = "symbol"
ex_date = "ex"
amount = "cash"
"""
BARS = """symbol,date,open,close,adj,from
SPY,2024-03-14,515.0,514.95,500.0,second
SPY,2024-03-14,516.0,515.97,501.0,best
SPY,2024-03-15,510.0,509.83,499.0,second
SPY,2024-03-15,,,498.0,best
SPY,2024-03-18,1,1,1,unknown
KO,2024-03-15,,,58.5,second
"""
SPLITS = "[splits]\nSPY = { 2024-03-15 = 2 }\n"
DIVIDENDS = "symbol,ex,cash\nSPY,2024-03-15,1.595\nKO,2024-03-15,0.485\n"


def columns(table) -> list[str]:
    return [name for name in table.schema if name != "ingestion_timestamp"]


def test_bars_keep_one_source_per_date_and_carry_dividends(archive):
    source = archive({"volsurf.toml": MAPPING, "bars.csv": BARS, "dividends.csv": DIVIDENDS})
    bars = source.underlying("SPY", *MARCH)
    assert bars.columns == columns(UNDERLYING_PRICES)
    assert bars.select("quote_date", "close", "dividend", "data_source").rows() == [
        (date(2024, 3, 14), 515.97, 0.0, "volsurf: best"),
        (date(2024, 3, 15), 509.83, 1.595, "volsurf: second"),
    ]
    assert source.underlying("SPY", MARCH[0], date(2024, 3, 14)).height == 1
    assert source.underlying("QQQ", *MARCH).is_empty()


def test_splits_that_no_file_tells_are_stated_by_the_mapping(archive):
    source = archive({"volsurf.toml": SPLITS + MAPPING, "bars.csv": BARS})
    assert source.underlying("SPY", *MARCH)["split_ratio"].to_list() == [1.0, 2.0]


def test_adjusted_closes_serve_only_symbols_without_any_other_and_say_so(archive):
    source = archive({"volsurf.toml": MAPPING, "bars.csv": BARS, "dividends.csv": DIVIDENDS})
    assert source.underlying("KO", *MARCH).select("close", "data_source").rows() == [
        (58.5, "volsurf: adjusted close")
    ]


def test_the_underlying_of_a_chain_is_a_close_only_where_the_mapping_vouches(archive):
    text = """
    [chains.daily]
    files = ["*.csv"]
    underlying_is_close = true
    [chains.daily.columns]
    symbol = "s"
    quote_date = "d"
    expiration_date = "e"
    strike = "k"
    option_type = "r"
    bid = "b"
    ask = "a"
    underlying_price = "u"
    """
    chains = "s,d,e,k,r,b,a,u\nSPX,2024-03-14,2024-04-19,5100,C,90,91,5150.48\n"
    source = archive({"volsurf.toml": text, "chains.csv": chains})
    (bar,) = source.underlying("SPX", *MARCH).to_dicts()
    assert (bar["close"], bar["open"], bar["dividend"]) == (5150.48, None, 0.0)
    assert bar["data_source"] == "volsurf: underlying of the chain"
    (source.folder / "volsurf.toml").write_text(text.replace("underlying_is_close = true", ""))
    assert Archive(source.folder).underlying("SPX", *MARCH).is_empty()


TREASURY = """Date,"1 Mo","1.5 Month","2 Mo","3 Mo","4 Mo","6 Mo","1 Yr","2 Yr","3 Yr","5 Yr",\
"7 Yr","10 Yr","20 Yr","30 Yr"
10/05/2026,4.05,4.10,4.12,4.20,N/A,4.28,4.47,4.84,4.97,5.07,5.18,5.29,5.68,5.64
10/02/2026,4.04,4.09,4.11,4.19,4.26,4.27,4.46,4.83,4.96,5.06,5.17,5.28,5.67,5.63
"""


def test_treasury_csv_becomes_zero_rates(archive):
    source = archive({"daily-treasury-rates.csv": TREASURY})
    assert source.name == "public_series"
    curve = source.rates(date(2026, 10, 4))  # the Sunday between the two dates
    assert curve.columns == columns(MARKET_RATES)
    assert set(curve["curve_date"]) == {date(2026, 10, 2)}
    assert set(curve["quote_date"]) == {date(2026, 10, 4)}
    zeros = dict(curve.select("tenor_years", "zero_rate").iter_rows())
    assert len(zeros) == 14
    # A single payment: r = 2 ln(1 + y/2); 4.27 % gives 4.2251 %.
    assert zeros[0.5] == pytest.approx(2 * log(1 + 0.0427 / 2))
    assert zeros[0.5] == pytest.approx(0.042251, abs=5e-7)
    assert len(source.rates(date(2026, 10, 5))) == 13  # N/A is no rate


def test_fred_files_join_to_one_curve_that_is_known_a_day_later(archive):
    def fred(series: str, *rates: str) -> str:
        days = ("2024-03-12", "2024-03-13", "2024-03-14")
        return f"observation_date,{series}\n" + "".join(
            f"{day},{rate}\n" for day, rate in zip(days, rates, strict=True)
        )

    source = archive(
        {
            "DGS3MO.csv": fred("DGS3MO", "5.4", "5.5", "5.6"),
            "DGS2.csv": fred("DGS2", "4.5", "4.6", "4.7"),
            "DGS10.csv": fred("DGS10", "4.1", ".", "4.3"),
            "SOFR.csv": fred("SOFR", "5.31", "5.32", "5.33"),
        }
    )
    curve = source.rates(date(2024, 3, 14))
    assert set(curve["curve_date"]) == {date(2024, 3, 13)}
    zeros = par_to_zero({0.25: 0.055, 2.0: 0.046})
    assert curve.select("tenor_years", "zero_rate").rows() == [
        (pytest.approx(1 / 365), pytest.approx(sofr_to_continuous(0.0532))),
        (0.25, pytest.approx(zeros[0.25])),
        (2.0, pytest.approx(zeros[2.0])),
    ]


def test_zero_rates_in_rows_of_a_series(archive):
    mapping = """
    [rates.mine]
    files = ["zeros.csv"]
    quoted = "zero"
    scale = 1
    tenors = { "1M" = 0.0833, "1Y" = 1 }
    [rates.mine.columns]
    curve_date = "day"
    series = "tenor"
    value = "rate"
    """
    text = "day,tenor,rate\n2024-03-12,1m,0.05\n2024-03-12,1y,0.04\n2024-03-12,5y,0.03\n"
    source = archive({"volsurf.toml": mapping, "zeros.csv": text})
    curve = source.rates(date(2024, 3, 14))
    assert curve.select("tenor_years", "zero_rate", "source").rows() == [
        (0.0833, 0.05, "mine"),
        (1.0, 0.04, "mine"),
    ]
    with pytest.raises(NoData, match="no rates up to 2024-03-11"):
        source.rates(date(2024, 3, 11))


def test_an_old_curve_is_served_with_its_date(archive):
    curve = archive({"daily-treasury-rates.csv": TREASURY}).rates(date(2030, 1, 2))
    assert set(curve["curve_date"]) == {date(2026, 10, 5)}


def test_cboe_history_is_named_by_its_file(archive):
    vix = "\ufeffDATE,OPEN,HIGH,LOW,CLOSE\r\n01/02/1990,17.24,17.24,17.24,17.24\r\n"
    vix3m = "DATE,OPEN,HIGH,LOW,CLOSE\n09/18/2009,26.08,26.24,25.7,26.06\n\n"
    source = archive({"VIX_History.csv": vix, "VIX3M_History.csv": vix3m})
    levels = source.index_levels(date(1990, 1, 1), date(2024, 1, 1))
    assert levels.columns == columns(INDEX_LEVELS)
    assert levels.select("index", "quote_date", "close").rows() == [
        ("VIX", date(1990, 1, 2), 17.24),
        ("VIX3M", date(2009, 9, 18), 26.06),
    ]


def test_daily_bars_with_split_and_dividend_columns(archive):
    text = (
        "Date,Open,High,Low,Close,Adj Close,Volume,Dividends,Stock Splits\n"
        "2014-06-06,649.9,651.26,644.47,645.57,20,87484600,0.0,0.0\n"
        "2014-06-09,92.7,93.88,91.75,93.7,20,75414997,0.0,7.0\n"
    )
    bars = archive({"AAPL.csv": text}).underlying("AAPL", date(2014, 6, 1), date(2014, 6, 30))
    assert bars.select("close", "split_ratio").rows() == [(645.57, 1.0), (93.7, 7.0)]


def test_answers_are_the_same_for_any_range(archive):
    source = archive({"volsurf.toml": MAPPING, "bars.csv": BARS, "dividends.csv": DIVIDENDS})
    whole = source.underlying("SPY", *MARCH)
    days = [source.underlying("SPY", day, day) for day in whole["quote_date"]]
    assert pl.concat(days).equals(whole)


def test_broken_files_of_a_series_are_named_where_they_are_missed(archive):
    files = {
        "volsurf.toml": 'extends = ["public_series"]',
        "VIX_History.csv": "<html>",
        "SPY.csv": "",
    }
    source = archive(files)
    for ask in (
        lambda: source.index_levels(*MARCH),
        lambda: source.underlying("SPY", *MARCH),
        lambda: source.rates(MARCH[1]),
    ):
        with pytest.raises(Unreadable, match=r"the archive has no .*files cannot be read, first"):
            ask()
