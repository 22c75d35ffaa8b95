"""The premium as it turned out: implied volatility against what was realised afterwards.

Belongs here: what could not be known on the date it is filed under. Not here: the premium as it was
known then (`variance`).
"""

from datetime import date

import polars as pl

from volsurf_resources.lake import Lake


def premium_ex_post(lake: Lake, symbol: str, until: date) -> pl.DataFrame:
    """Return the rows of `vrp_ex_post` that were known at the end of session `until`.

    Columns as in the view: quote_date, implied_vol_30d, realized_vol_next_30d, ex_post_vrp_30d
    (decimals), known_on.
    """
    query = "FROM vrp_ex_post WHERE symbol = ? AND known_on <= ? ORDER BY quote_date"
    return lake.sql(f"SELECT * {query}", [symbol, until])
