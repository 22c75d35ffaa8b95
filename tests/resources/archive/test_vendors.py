"""Each shipped mapping on a small file in its vendor's layout, written by hand.

Headers are those that the vendors publish; the numbers are ours, except where a row is named.
"""

from datetime import UTC, date, datetime

import pytest

from volsurf_resources.source import Unreadable
from volsurf_tables.market import RAW_OPTIONS_CHAINS

CONTENT = [name for name in RAW_OPTIONS_CHAINS.schema if name != "ingestion_timestamp"]

OPTIONSDX_HEADER = (
    "[QUOTE_UNIXTIME], [QUOTE_READTIME], [QUOTE_DATE], [QUOTE_TIME_HOURS], [UNDERLYING_LAST], "
    "[EXPIRE_DATE], [EXPIRE_UNIX], [DTE], [C_DELTA], [C_GAMMA], [C_VEGA], [C_THETA], [C_RHO], "
    "[C_IV], [C_VOLUME], [C_LAST], [C_SIZE], [C_BID], [C_ASK], [STRIKE], [P_BID], [P_ASK], "
    "[P_SIZE], [P_LAST], [P_DELTA], [P_GAMMA], [P_VEGA], [P_THETA], [P_RHO], [P_IV], [P_VOLUME], "
    "[STRIKE_DISTANCE], [STRIKE_DISTANCE_PCT]\n"
)


def optionsdx_row(expiry: str, strike: float, bid: float) -> str:
    # The first five cells are those of the vendor's own sample.
    return (
        f"1638392400, 2021-12-01 16:00, 2021-12-01, 16.000000, 450.440000, {expiry}, 1639774800, "
        f"16.000000, 0.540000, 0.016000, 0.370000, -0.250000, 0.100000, 0.220000, , 8.000000, "
        f"300 x 250, {bid}, {bid + 0.1}, {strike}, 7.100000, 7.200000, 12 x 0, 7.150000, "
        f"-0.460000, 0.016000, 0.370000, -0.240000, -0.100000, , 55.000000, 0.4, 0.001\n"
    )


def test_optionsdx_melts_call_and_put(archive):
    source = archive(
        {"spy_eod_202112.txt": OPTIONSDX_HEADER + optionsdx_row("2021-12-17", 450.0, 8.0)}
    )
    assert source.name == "optionsdx"
    call, put = source.chain("SPY", date(2021, 12, 1)).to_dicts()
    assert list(call) == CONTENT
    assert call["contract_id"] == "SPY   211217C00450000"
    assert put["contract_id"] == "SPY   211217P00450000"
    assert (call["bid"], call["ask"], call["last"], call["volume"]) == (8.0, 8.1, 8.0, None)
    assert (call["bid_size"], call["ask_size"], put["ask_size"]) == (300.0, 250.0, 0.0)
    assert (put["bid"], put["volume"], put["vendor_iv"]) == (7.1, 55.0, None)
    assert call["quote_time"] == datetime(2021, 12, 1, 21, 0, tzinfo=UTC)  # 16:00 in New York
    assert call["underlying_price"] == 450.44
    assert call["vendor_theta"] == pytest.approx(-0.25 * 365)
    assert call["vendor_vega"] == pytest.approx(37.0)
    assert (call["exercise_style"], call["settlement"]) == ("american", "PM")
    assert (call["open_interest"], call["open_interest_date"]) == (None, None)


def test_optionsdx_index_file_keeps_both_roots_of_one_expiry_unnamed(archive):
    monthly, weekly = "2021-12-17", "2021-12-08"
    rows = [
        optionsdx_row(monthly, 4500, 60.0),
        optionsdx_row(monthly, 4500, 61.0),
        optionsdx_row(monthly, 4510, 55.0),
        optionsdx_row(weekly, 4500, 40.0),
        optionsdx_row("2022-01-21", 4500, 90.0),
    ]
    source = archive({"spx_eod_202112.txt": OPTIONSDX_HEADER + "".join(rows)})
    chain = source.chain("SPX", date(2021, 12, 1)).filter(option_type="CALL")
    by_id = {row["contract_id"]: row for row in chain.to_dicts()}
    assert sorted((row["root"], row["settlement"]) for row in by_id.values()) == sorted(
        [("", None), ("", None), ("", None), ("SPXW", "PM"), ("SPX", "AM")],
        key=lambda pair: (pair[0], pair[1] or ""),
    )
    assert by_id["      211217C04500000"]["bid"] == 60.0
    assert by_id["      211217C04500000#2"]["bid"] == 61.0
    assert {row["exercise_style"] for row in by_id.values()} == {"european"}


DATASHOP_FRONT = (
    "underlying_symbol,quote_date,root,expiration,strike,option_type,open,high,low,close,"
    "trade_volume,bid_size_1545,bid_1545,ask_size_1545,ask_1545,underlying_bid_1545,"
    "underlying_ask_1545,"
)
DATASHOP_CALCS = (
    "implied_underlying_price_1545,active_underlying_price_1545,implied_volatility_1545,"
    "delta_1545,gamma_1545,theta_1545,vega_1545,rho_1545,"
)
DATASHOP_BACK = (
    "bid_size_eod,bid_eod,ask_size_eod,ask_eod,underlying_bid_eod,underlying_ask_eod,vwap,"
    "open_interest,delivery_code\n"
)
DATASHOP_WITH_CALCS = (
    DATASHOP_FRONT
    + DATASHOP_CALCS
    + DATASHOP_BACK
    + "^SPX,2024-07-03,SPX,2024-07-19,5500.000,c,1.0,2.0,0.5,0.0,12,10,55.0,11,56.0,0,0,"
    "5537.1,0.0,0.1010,0.61,0.0025,-1.5,4.2,1.3,20,57.0,21,58.0,5537.0,5537.2,0,900,\n"
    "^SPX,2024-07-03,SPXW,2024-07-19,5500.000,P,1.0,2.0,0.5,18.4,12,10,18.0,11,18.5,0,0,"
    "5537.1,5537.3,0.0000,-0.39,0.0025,-1.5,4.2,1.3,20,17.0,21,17.5,5537.0,5537.2,0,400,\n"
    "AAPL,2024-07-03,AAPL1,2024-07-19,220.000,C,0,0,0,0,0,10,5.0,11,5.2,221.0,221.2,"
    "221.1,221.1,0.2,0.5,0.02,-0.1,0.2,0.1,20,5.0,21,5.2,221.0,221.2,0,1,X\n"
)


def test_datashop_with_calcs_takes_the_quotes_of_1545(archive):
    source = archive(
        {"UnderlyingOptionsEODCalcs_2024-07-03.zip": {"calcs.csv": DATASHOP_WITH_CALCS}}
    )
    assert source.name == "cboe_datashop"
    call, put = source.chain("SPX", date(2024, 7, 3)).to_dicts()
    assert call["contract_id"] == "SPX   240719C05500000"
    assert put["contract_id"] == "SPXW  240719P05500000"
    assert (call["settlement"], put["settlement"]) == ("AM", "PM")
    assert (call["bid"], call["ask"]) == (55.0, 56.0)
    # The eve of Independence Day ends at 13:00: the snapshot is of 12:45 in New York.
    assert call["quote_time"] == datetime(2024, 7, 3, 16, 45, tzinfo=UTC)
    assert (call["underlying_price"], put["underlying_price"]) == (5537.1, 5537.3)
    assert (call["vendor_iv"], put["vendor_iv"]) == (0.101, None)
    assert call["vendor_theta"] == pytest.approx(-547.5)
    assert (call["last"], put["last"]) == (None, 18.4)
    assert (call["open_interest"], call["open_interest_date"]) == (900.0, date(2024, 7, 2))
    (adjusted,) = source.chain("AAPL", date(2024, 7, 3)).to_dicts()
    assert adjusted["is_adjusted"]
    assert not call["is_adjusted"]


def test_datashop_without_calcs_pairs_the_quoted_underlying(archive):
    row = "SPY,2024-07-02,SPY,2024-07-19,550.0,C,0,0,0,0,0,1,5.0,2,5.1,549.0,549.2,"
    text = DATASHOP_FRONT + DATASHOP_BACK + row + "3,5.2,4,5.3,550.0,550.4,0,10,\n"
    source = archive({"UnderlyingOptionsEODQuotes_2024-07-02.csv": text})
    (call,) = source.chain("SPY", date(2024, 7, 2)).to_dicts()
    assert call["underlying_price"] == pytest.approx(549.1)
    assert call["quote_time"] == datetime(2024, 7, 2, 19, 45, tzinfo=UTC)
    assert call["vendor_iv"] is None


def test_datashop_quotes_of_the_close_by_choice(archive):
    files = {"UnderlyingOptionsEODCalcs_2024-07-03.csv": DATASHOP_WITH_CALCS}
    source = archive(files, "cboe_datashop_eod")
    call = source.chain("SPX", date(2024, 7, 3)).to_dicts()[0]
    assert (call["bid"], call["underlying_price"], call["vendor_iv"]) == (57.0, 5537.1, None)
    assert call["quote_time"] == datetime(2024, 7, 3, 17, 0, tzinfo=UTC)


ORATS = (
    "ticker,cOpra,pOpra,stkPx,expirDate,yte,strike,cVolu,cOi,pVolu,pOi,cBidPx,cValue,cAskPx,"
    "pBidPx,pValue,pAskPx,cBidIv,cMidIv,cAskIv,smoothSmvVol,pBidIv,pMidIv,pAskIv,iRate,divRate,"
    "residualRateData,delta,gamma,theta,vega,rho,phi,driftlessTheta,extVol,extCTheo,extPTheo,"
    "spot_px,trade_date\n"
    "SPX,SPX240119C04700000,SPX240119P04700000,4781.2,1/19/2024,0.03836,4700,1,2,3,4,95,95.5,96,"
    "14,14.5,15,0.12,0.121,0.122,0.12,0.12,9.999999,0.12,0.05,0,0,0.75,0.003,-2.0,3.5,1.1,0,0,0,"
    "0,0,0,1/5/2024\n"
    "SPX,SPXW240119C04700000,SPXW240119P04700000,4781.9,1/19/2024,0.03836,4700,1,2,3,4,97,97.5,98,"
    "16,16.5,17,0.12,0.121,0.122,0.12,0.12,0.123,0.12,0.05,0,0,0.75,0.003,-2.0,3.5,1.1,0,0,0,"
    "0,0,0,1/5/2024\n"
)


def test_orats_takes_the_root_from_the_option_symbol(archive):
    source = archive({"ORATS_SMV_Strikes_20240105.zip": {"ORATS_SMV_Strikes_20240105.csv": ORATS}})
    assert source.name == "orats_strikes"
    chain = source.chain("SPX", date(2024, 1, 5))
    assert chain["contract_id"].to_list() == [
        "SPX   240119C04700000",
        "SPX   240119P04700000",
        "SPXW  240119C04700000",
        "SPXW  240119P04700000",
    ]
    assert chain["bid"].to_list() == [95.0, 14.0, 97.0, 16.0]
    assert chain["vendor_iv"].to_list() == [0.121, None, 0.121, 0.123]
    assert chain["vendor_delta"].to_list() == [0.75, None, 0.75, None]
    assert chain["settlement"].to_list() == ["AM", "AM", "PM", "PM"]
    assert set(chain["quote_time"]) == {datetime(2024, 1, 5, 20, 46, tzinfo=UTC)}


L1 = "UnderlyingSymbol,UnderlyingPrice,Exchange,OptionSymbol,Blank,Type,Expiration, DataDate,"
TAIL = "Strike,Last,Bid,Ask,Volume,OpenInterest"
L3_HEADER = (
    "UnderlyingSymbol,UnderlyingPrice,Flags,OptionSymbol,Blank,Type,Expiration,DataDate,Strike,"
    "Last,Bid,Ask,Volume,OpenInterest,T1OpenInterest,IVMean,IVBid,IVAsk,Delta,Gamma,Theta,Vega,AKA"
)
# The vendor's own sample line.
SPY_LINE = (
    "SPY,298.09,*,SPY191220C00300000,,call,12/20/2019,09/10/2019 16:00,300,7.99,7.96,8.06,514,74443"
)
GREEKS = ",0.1443,0.4768,0.0176,-15.9085,61.8811,SPY191220C00300000"
L3_LINE = SPY_LINE + ",75000,0.1443,0.14,0.15,0.4768,0.0176,-15.9085,61.8811,SPY191220C00300000"


@pytest.mark.parametrize(
    ("name", "text", "has_greeks"),
    [
        ("L1_options_20190910.csv", f"{L1}{TAIL}\n{SPY_LINE}\n", False),
        (
            "L2_options_20190910.csv",
            f"{L1}{TAIL},IV,Delta,Gamma,Theta,Vega,Alias\n{SPY_LINE}{GREEKS}\n",
            True,
        ),
        ("L3_options_20190910.csv", f"{L3_HEADER}\n{L3_LINE}\n", True),
    ],
)
def test_historicaloptiondata_levels(archive, name, text, has_greeks):
    source = archive({name: text})
    assert source.name == "historicaloptiondata"
    (call,) = source.chain("SPY", date(2019, 9, 10)).to_dicts()
    assert call["contract_id"] == "SPY   191220C00300000"
    assert (call["bid"], call["ask"], call["last"], call["volume"]) == (7.96, 8.06, 7.99, 514)
    assert (call["open_interest"], call["open_interest_date"]) == (74443.0, date(2019, 9, 9))
    assert call["vendor_theta"] == (-15.9085 if has_greeks else None)
    assert call["vendor_iv"] == (0.1443 if has_greeks else None)


def test_historicaloptiondata_zip_with_stock_quotes_beside(archive):
    stocks = "symbol,quotedate,open,high,low,close,volume,adjustedclose\n"
    stocks += "SPY,09/10/2019,297.1,298.3,295.8,298.13,57396100,298.13\n"
    source = archive(
        {
            "L2_20190910.zip": {
                "L2_options_20190910.csv": f"{L1}{TAIL}\n{SPY_LINE}\n",
                "L2_stockquotes_20190910.csv": stocks,
                "L2_optionstats_20190910.csv": "symbol,quotedate,iv30call\nSPY,09/10/2019,0.14\n",
            }
        }
    )
    assert source.chain("SPY", date(2019, 9, 10)).height == 1
    (bar,) = source.underlying("SPY", date(2019, 9, 1), date(2019, 9, 30)).to_dicts()
    assert (bar["close"], bar["volume"]) == (298.13, 57396100.0)
    assert source.problems == {}


IVYDB = (
    "secid,date,symbol,symbol_flag,exdate,last_date,cp_flag,strike_price,best_bid,best_offer,"
    "volume,open_interest,impl_volatility,delta,gamma,vega,theta,optionid,cfadj,am_settlement,"
    "contract_size,ss_flag,forward_price,expiry_indicator,root,suffix\n"
    "108105,04JAN2016,SPX 160115C2000000,1,15JAN2016,,C,2000000,30.1,31.2,5,100,0.19,0.5,0.003,"
    "150.5,-200.1,1,1,1,100,0,,,,\n"
    "108105,04JAN2016,SPXW 160115P2000000,1,15JAN2016,,P,2000000,28.1,29.2,5,100,-99.99,-99.99,"
    "0.003,150.5,-200.1,2,1,0,100,E,,w,,\n"
)


def test_ivydb_strikes_in_thousandths_and_settlement_from_its_own_flag(archive):
    source = archive({"opprcd2016.csv": IVYDB.replace("secid,date", "SECID,DATE")})
    assert source.name == "ivydb"
    call, put = source.chain("SPX", date(2016, 1, 4)).to_dicts()
    assert call["contract_id"] == "SPX   160115C02000000"
    assert put["contract_id"] == "SPXW  160115P02000000"
    assert (call["settlement"], put["settlement"]) == ("AM", "PM")
    assert (call["is_adjusted"], put["is_adjusted"]) == (False, True)
    assert (put["vendor_iv"], put["vendor_delta"], call["vendor_theta"]) == (None, None, -200.1)
    assert call["quote_time"] == datetime(2016, 1, 4, 20, 59, tzinfo=UTC)


def test_symbols_from_before_osi_are_refused_and_not_lost(archive):
    old = IVYDB.replace("SPX 160115C2000000", "SZP.AT").replace("SPXW 160115P2000000", "SPB.XT")
    source = archive({"opprcd2016.csv": old})
    with pytest.raises(Unreadable, match=r"opprcd2016\.csv.*2 of 2 rows name no OSI contract"):
        source.chain("SPX", date(2016, 1, 4))
