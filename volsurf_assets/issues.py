"""Everything that is wrong with a chain: one row per contract and rule that it breaks.

Belongs here: putting the findings of row rules and of the arbitrage tests into one table. Not
here: the rules of one row (`quality`), or the tests across strikes (volsurf_math).
"""

import polars as pl

from volsurf_assets.forwards import EXPIRY
from volsurf_assets.pictures import sparkline
from volsurf_assets.price_units import IN_COIN
from volsurf_assets.quality import Rule, chain_rules, is_usable, vol_rules
from volsurf_assets.session import Session
from volsurf_assets.static_arbitrage import Violation, static_violations
from volsurf_assets.table_asset import table_asset
from volsurf_resources.settings import Settings
from volsurf_tables.market import RAW_OPTIONS_CHAINS
from volsurf_tables.quotes import IMPLIED_FORWARDS, OPTION_QUOTES, QUOTE_ISSUES

IDENTITY = ["symbol", "quote_date", "snapshot", "contract_id"]


@table_asset(
    QUOTE_ISSUES,
    reads=[RAW_OPTIONS_CHAINS, OPTION_QUOTES, IMPLIED_FORWARDS],
    code_version="4",
    picture=lambda rows: sparkline(rows["rule"].value_counts(sort=True)["count"]),
)
def quote_issues(session: Session) -> pl.DataFrame:
    """List what breaks a rule: of the row, of the vol, across strikes, across expiries."""
    settings = session.settings
    chain, quotes = session.read(RAW_OPTIONS_CHAINS), session.read(OPTION_QUOTES)
    styles = chain.select(*IDENTITY, "exercise_style", "price_unit", is_usable=is_usable(settings))
    spots = session.read(IMPLIED_FORWARDS).select(*EXPIRY, "spot")
    quotes = quotes.join(styles, on=IDENTITY, how="left").join(spots, on=EXPIRY, how="left")
    quotes = quotes.sort(*EXPIRY, "strike")
    found = [rule.issues(chain) for rule in chain_rules(settings)]
    found += [rule.issues(quotes) for rule in vol_rules(settings)]
    found.append(_parity_gaps(quotes, settings))
    for root in quotes.partition_by("symbol", "snapshot", "root", maintain_order=True):
        found.extend(_marked(root, violation) for violation in static_violations(root))
    return (
        pl.concat(found)
        .select(QUOTE_ISSUES.schema.names())
        .unique(QUOTE_ISSUES.key, maintain_order=True)
    )


def _parity_gaps(quotes: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Pairs further from parity, in dollars, than half the spreads and the tolerance allow.

    Dividends are in the forward. European pairs keep C - P = D (F - K); American ones, which may be
    exercised early, only the bounds D F - K <= C - P <= S - D K.
    """
    value = pl.col("unit_value")
    quoted = quotes.filter("is_tradable").select(
        *(*EXPIRY, "strike", "discount_factor", "spot", "exercise_style"),
        *("contract_id", "option_type"),
        own_forward=pl.when(IN_COIN).then(value).otherwise("forward"),
        mid=pl.col("mid") * value,
        half=(pl.col("ask") - pl.col("bid")) / 2.0 * value,
    )
    call, put = (quoted.filter(pl.col("option_type") == side) for side in ("CALL", "PUT"))
    pairs = call.join(put, on=[*EXPIRY, "strike"], suffix="_put")
    df, strike = pl.col("discount_factor"), pl.col("strike")
    is_european = pl.col("exercise_style") == "european"
    forward = (pl.col("own_forward") + pl.col("own_forward_put")) / 2.0
    worth = df * forward  # of the stock less its dividends
    low = worth - pl.when(is_european).then(df * strike).otherwise(strike)
    high = pl.when(is_european).then(worth).otherwise("spot") - df * strike
    paid = pl.col("mid") - pl.col("mid_put")
    gap = pl.max_horizontal(low - paid, paid - high, 0.0)
    allowed = pl.col("half") + pl.col("half_put") + settings.parity_tolerance
    wrong = pairs.with_columns(gap=gap, threshold=allowed).filter(gap > allowed)
    both = pl.concat_list("contract_id", "contract_id_put").alias("contract_id")
    return (
        wrong.select(*EXPIRY, both, "gap", "threshold")
        .explode("contract_id")
        .select(
            *IDENTITY,
            rule=pl.lit("parity_gap"),
            severity=pl.lit("warning"),
            value="gap",
            threshold="threshold",
        )
    )


def _marked(quotes: pl.DataFrame, violation: Violation) -> pl.DataFrame:
    marked = quotes.with_columns(size=pl.Series(violation.size), broken=pl.Series(violation.breaks))
    size = pl.col("size")
    return Rule(violation.rule, violation.severity, pl.col("broken"), size, 0.0).issues(marked)
