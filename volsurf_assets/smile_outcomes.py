"""What stands in the table for an expiry: its fit, yesterday's, or the reason why there is none.

Belongs here: status and reason of a slice, carrying, the at-the-money vol of thin expiries.
"""

import polars as pl

from volsurf_assets.quality import chain_rules, vol_rules
from volsurf_assets.smile_points import SLICE
from volsurf_assets.static_arbitrage import EXECUTABLE
from volsurf_resources.settings import Settings
from volsurf_tables.surfaces import FITTED_SURFACES

CARRY_SESSIONS = 5  # how old carried parameters may be
MAX_UNUSABLE_SHARE = 0.5  # of an expiry's rows: beyond it the chain is corrupt, not thin
IDENTITY = ["symbol", "snapshot", "root", "expiration_date", "model_type"]


def with_outcome(
    described: pl.DataFrame, rows: pl.DataFrame, past: pl.DataFrame, settings: Settings
) -> pl.DataFrame:
    """Add status and reason; put the last fit where today's chain is corrupt or diverged.

    Parameters
    ----------
    described
        One row per expiry and model of one underlying, with `fit_status`.
    rows
        The quotes of that underlying, liquid or not.
    past
        Fitted rows of the sessions before.
    """
    errors = [rule.name for rule in chain_rules(settings) if rule.severity == "error"]
    doubts = [*errors, *(rule.name for rule in vol_rules(settings)), EXECUTABLE]
    why = pl.col("reject_reason")
    marked = rows.with_columns(
        is_unusable=why.str.contains_any(errors).fill_null(False),
        is_doubtful=why.str.contains_any(doubts).fill_null(False),
    )
    unusable = marked.group_by(SLICE).agg(unusable=pl.col("is_unusable").mean())
    outcome = described.join(unusable, on=SLICE, how="left").join(
        _atm_of_quotes(marked), on=SLICE, how="left"
    )
    is_fitted = pl.col("fit_status") == "converged"
    too_few = pl.col("fit_status") == "too_few_points"
    is_over = (pl.col("tte_years") <= 0.0).fill_null(False)  # no smile of before is its own
    is_corrupt = (pl.col("unusable") > MAX_UNUSABLE_SHARE).fill_null(False) & ~is_over
    least = pl.lit(settings.min_strikes_per_fit)
    share = (100.0 * pl.col("unusable")).round(0).cast(pl.Int32)
    judged = outcome.with_columns(
        status=pl.when(is_fitted).then(pl.lit("fitted"))
        .when(too_few & ~is_corrupt).then(pl.lit("skipped"))
        .when(too_few).then(pl.lit("corrupt"))
        .otherwise(pl.lit("failed")),
        reason=pl.when(is_fitted).then(None)
        .when(too_few & is_over).then(pl.lit("expired"))
        .when(too_few & ~is_corrupt)
        .then(pl.format("{} strikes to fit, needs {}", "num_points", least))
        .when(too_few).then(pl.format("{} % of rows unusable", share))
        .otherwise(pl.format("no convergence: {}", "diagnosis")),
        atm_method=pl.when(is_fitted).then(pl.lit("model"))
        .when(pl.col("atm_of_quotes").is_not_null()).then(pl.lit("quotes")),
        atm_vol=pl.coalesce("atm_vol", "atm_of_quotes"),
        parameters_date=pl.when(is_fitted).then("quote_date"),
        passes_no_arbitrage=(pl.col("butterfly_arbitrage_violations") == 0)
        & (pl.col("min_durrleman_g") >= 0.0)
        & (pl.col("calendar_arbitrage_violations").fill_null(0) == 0),
    )  # fmt: skip
    return _carry(judged.select(FITTED_SURFACES.schema.names()), past)


def _atm_of_quotes(marked: pl.DataFrame) -> pl.DataFrame:
    """At-the-money vol between the credible quotes around the forward; null without both."""
    credible = marked.filter(
        pl.col("iv_mid") > 0.0, "is_tradable", "is_out_of_the_money", ~pl.col("is_doubtful")
    )
    k, w = pl.col("log_moneyness"), pl.col("total_variance")
    near = (
        credible.sort("log_moneyness")
        .group_by(SLICE)
        .agg(
            low=k.filter(k <= 0.0).last(),
            w_low=w.filter(k <= 0.0).last(),
            high=k.filter(k >= 0.0).first(),
            w_high=w.filter(k >= 0.0).first(),
            tte=pl.col("tte_years").median(),
        )
    )
    width = pl.col("high") - pl.col("low")
    share = pl.when(width > 0.0).then(-pl.col("low") / width).otherwise(0.0)
    variance = pl.col("w_low") + share * (pl.col("w_high") - pl.col("w_low"))
    return near.select(*SLICE, atm_of_quotes=(variance / pl.col("tte")).sqrt())


def _carry(judged: pl.DataFrame, past: pl.DataFrame) -> pl.DataFrame:
    """Replace corrupt and failed slices by the last fit of the same expiry, marked as carried."""
    same = [name for name in IDENTITY if name != "snapshot"]  # the past is of official snapshots
    last = past.sort("quote_date").unique(same, keep="last")
    lost = judged.filter(pl.col("status").is_in(["corrupt", "failed"]))
    carried = lost.select(*IDENTITY, "quote_date", "reason").join(
        last.drop("quote_date", "snapshot", "reason"), on=same
    )
    carried = carried.with_columns(status=pl.lit("carried")).select(judged.columns)
    others = judged.join(carried.select(IDENTITY), on=IDENTITY, how="anti")
    is_lost = pl.col("status").is_in(["corrupt", "failed"])
    others = others.with_columns(
        reason=pl.when(is_lost).then(pl.col("reason") + "; nothing to carry").otherwise("reason"),
        status=pl.col("status").replace("corrupt", "skipped"),
    )
    types = FITTED_SURFACES.schema
    return pl.concat([others.cast(types), carried.cast(types)])
