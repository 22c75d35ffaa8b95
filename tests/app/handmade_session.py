"""A session written by hand with all that `why` tells of; rewritten without pause where run.

`python -m tests.app.handmade_session LAKE` writes versions of it until its input is closed.
"""

import itertools
import sys
import threading
from pathlib import Path

import polars as pl

from tests.app.test_client import forwards
from tests.assets.handmade import DAY
from tests.assets.test_surfaces import smiles
from volsurf_resources.lake import Lake
from volsurf_tables.quotes import OPTION_QUOTES, QUOTE_ISSUES

CLOSE = pl.col("expiration_date").cast(pl.Datetime("us", "UTC")) + pl.duration(hours=21)


def handmade_session(snapshot="EOD", **level):
    """Smiles, forwards and four quotes each, all of one snapshot."""
    rows = smiles(**level).with_columns(snapshot=pl.lit(snapshot))
    key = ("symbol", "quote_date", "snapshot", "root", "expiration_date", "tte_years", "forward")
    sides = {"strike": [90.0, 90.0, 105.0, 105.0], "option_type": ["CALL", "PUT"] * 2}
    quotes = rows.select(key).join(pl.DataFrame(sides), how="cross").with_columns(
        contract_id=pl.format("{}{}{}", "expiration_date", "option_type", "strike"),
        log_moneyness=(pl.col("strike") / pl.col("forward")).log(),
        is_out_of_the_money=(pl.col("strike") < 100.0) == (pl.col("option_type") == "PUT"),
        is_liquid=True, is_tradable=True, bid=1.0, ask=1.1, mid=1.05, iv_mid=0.2,
    )  # fmt: skip
    schema = OPTION_QUOTES.schema
    full = pl.concat([schema.to_frame(), quotes], how="diagonal_relaxed").select(schema.names())
    empty = QUOTE_ISSUES.schema.to_frame()
    return {
        "fitted_surfaces": rows,
        "implied_forwards": forwards(rows.drop("reason")).with_columns(expiry_time=CLOSE),
        "option_quotes": full,
        "quote_issues": empty,
    }


def rewrite(lake, is_over):
    """Replace the session by one of seven versions, again and again."""
    for n in itertools.count():
        for table, rows in handmade_session(level=0.2 + 0.001 * (n % 7)).items():
            lake.replace(table, DAY, rows)
        if is_over.is_set():
            return


if __name__ == "__main__":
    ended = threading.Event()
    writer = threading.Thread(target=rewrite, args=(Lake(Path(sys.argv[1])), ended))
    writer.start()
    sys.stdin.read()
    ended.set()
    writer.join()
