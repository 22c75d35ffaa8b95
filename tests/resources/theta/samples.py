"""The vendor's own published answers, and the reader to put them through."""

import polars as pl

from volsurf_resources.theta.answers import CsvAnswer
from volsurf_resources.theta.endpoints import Endpoint

# Samples of the vendor's API documentation (docs.thetadata.us, version 3, 2026).
OPTION_EOD_SAMPLE = (
    "symbol,expiration,strike,right,created,last_trade,open,high,low,close,volume,count,bid_size,"
    "bid_exchange,bid,bid_condition,ask_size,ask_exchange,ask,ask_condition\r\n"
    "AAPL,2024-11-15,170.000,CALL,2024-11-04T17:16:56.205,2024-11-04T15:48:12.005,52.54,52.75,"
    "52.40,52.40,10,3,70,60,52.05,50,15,47,52.45,50\r\n"
)
OPEN_INTEREST_SAMPLE = (
    "symbol,expiration,strike,right,timestamp,open_interest\r\n"
    "AAPL,2024-11-08,220.000,CALL,2024-11-04T06:30:04,2732\r\n"
)
GREEKS_SAMPLE = (
    "symbol,expiration,strike,right,timestamp,open,high,low,close,volume,count,bid_size,"
    "bid_exchange,bid,bid_condition,ask_size,ask_exchange,ask,ask_condition,delta,theta,vega,rho,"
    "epsilon,lambda,gamma,vanna,charm,vomma,veta,vera,speed,zomma,color,ultima,d1,d2,dual_delta,"
    "dual_gamma,implied_vol,iv_error,underlying_timestamp,underlying_price\r\n"
    "AAPL,2024-11-08,220.000,CALL,2024-11-04T15:59:59.828,3.90,4.85,3.35,4.15,7425,1511,9,11,4.10,"
    "50,12,5,4.25,50,0.6083,-0.3892,8.9221,1.4334,-1.4791,32.3623,0.0495,-0.2765,3.6779,1.7667,"
    "0.0149,0.0000,0.0000,0.0000,-0.0163,-15.6407,0.2750,0.2401,-0.5945,0.0000,0.3334,0.0001,"
    "2024-11-04T17:15:28.71,221.870\r\n"
)
STOCK_SAMPLE = (
    "created,last_trade,open,high,low,close,volume,count,bid_size,bid_exchange,bid,bid_condition,"
    "ask_size,ask_exchange,ask,ask_condition\r\n"
    "2024-01-02T17:17:53.606,2024-01-02T17:17:51.877,187.030,188.440,183.885,185.640,80680243,"
    "1003582,2,7,18.534,0,2,1,18.536,0\r\n"
    "2024-01-04T17:17:06.02,2024-01-04T17:17:02.445,182.0000,183.0872,180.8800,181.9100,71197269,"
    "709246,8,60,1.8176,0,2,7,1.8179,0\r\n"
)
INDEX_SAMPLE = (
    STOCK_SAMPLE.partition("\r\n")[0] + "\r\n2024-11-04T17:19:50.198,2024-11-04T16:03:03,5725.15,"
    "5741.43,5696.51,5712.69,0,0,0,0,0.00,0,0,0,0.00,0\r\n"
)
RATES_SAMPLE = "created,rate\r\n 2025-11-04,4.0000\r\n 2025-11-05,3.9100\r\n 20251108,3.9400\r\n"
EXPIRATIONS_SAMPLE = "symbol,expiration\r\nAAPL,2012-06-01\r\nAAPL,2012-06-16\r\n"


def read(endpoint: Endpoint, body: str, step: int = 10**6) -> pl.DataFrame:
    answer = CsvAnswer(endpoint.columns, endpoint.path)
    sent = body.encode()
    for n in range(0, len(sent), step):
        answer.feed(sent[n : n + step])
    return answer.finish()
