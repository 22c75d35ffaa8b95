"""The rules that a quote must keep, each written once: to flag it, and to leave it out of fits.

Belongs here: rules of a single row of a chain, as expressions. Not here: rules across strikes and
expiries, which need the arbitrage tests of `volsurf_math` (see `quote_issues`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from volsurf_resources.settings import Settings

bid, ask = (pl.when(pl.col(side).is_finite()).then(pl.col(side)) for side in ("bid", "ask"))
MARK = pl.when(pl.col("mark") > 0.0).then("mark")
MID = (bid + ask) / 2.0
HAS_BID, HAS_ASK = bid.fill_null(0.0) > 0.0, ask.fill_null(0.0) > 0.0
IS_TRADABLE = HAS_BID & HAS_ASK & (bid <= ask)
PRICES = {"quotes": MID, "marks": MARK}  # by what the settings name as their source
SPREAD_PCT = pl.when(HAS_BID & HAS_ASK).then(100.0 * (ask - bid) / MID)
_contract = pl.col("contract_id").str.replace(r"#\d+$", "")  # a further row is numbered
_times_listed = pl.len().over("symbol", "snapshot", _contract)
dte = (pl.col("expiration_date") - pl.col("quote_date")).dt.total_days()


@dataclass(frozen=True, slots=True)
class Rule:
    """One condition on a row: `breaks` is true where it is broken."""

    name: str
    severity: str  # error: unusable; warning: not fitted; info
    breaks: pl.Expr
    value: pl.Expr
    threshold: float

    def issues(self, quotes: pl.DataFrame) -> pl.DataFrame:
        """Return the identity of every row that breaks the rule, with value and threshold."""
        return quotes.filter(self.breaks).select(
            "symbol",
            "quote_date",
            "snapshot",
            "contract_id",
            rule=pl.lit(self.name),
            severity=pl.lit(self.severity),
            value=self.value.cast(pl.Float64),
            threshold=pl.lit(self.threshold, pl.Float64),
        )


def chain_rules(settings: Settings) -> tuple[Rule, ...]:
    """Rules of a row as received. Those of severity error make a quote unusable altogether."""
    wide, loose = settings.wide_spread_pct, settings.max_spread_pct
    zone = str(settings.calendar.timezone)
    day_of_quote = pl.col("quote_time").dt.convert_time_zone(zone).dt.date()
    late = (pl.col("quote_date") - day_of_quote).dt.total_days()
    no_mark = Rule("no_mark", "warning", MARK.is_null(), pl.col("mark"), 0.0)
    return (
        *([no_mark] if settings.price_source == "marks" else []),
        Rule("price_positive", "error", (bid < 0.0) | (ask < 0.0), pl.min_horizontal(bid, ask), 0),
        Rule("bid_not_above_ask", "error", HAS_ASK & (bid > ask), bid - ask, 0.0),
        Rule("no_quote", "warning", ~HAS_BID & ~HAS_ASK, ask.fill_null(0.0), 0.0),
        Rule("one_sided", "info", HAS_BID != HAS_ASK, pl.max_horizontal(bid, ask), 0.0),
        Rule("spread_unusable", "error", wide < SPREAD_PCT, SPREAD_PCT, wide),
        Rule("spread_wide", "warning", SPREAD_PCT.is_between(loose, wide), SPREAD_PCT, loose),
        Rule(
            "duplicate_contract",
            "error",
            _times_listed > 1,
            _times_listed,
            1.0,
        ),
        Rule("strike_positive", "error", ~(pl.col("strike") > 0.0), pl.col("strike"), 0.0),
        Rule("ambiguous_root", "error", pl.col("root") == "", pl.lit(None, pl.Float64), 0.0),
        Rule("adjusted_contract", "error", pl.col("is_adjusted"), pl.lit(1.0), 0.0),
        Rule("expired", "error", dte < 0, dte, 0.0),
        Rule("stale", "error", late > 0, late, 0.0),
        Rule("mark_outside_quote", "info", HAS_ASK & ~MARK.is_between(bid, ask), MARK, 0.0),
        Rule("underlying_positive", "warning", pl.col("underlying_price") <= 0.0,
             pl.col("underlying_price"), 0.0),
    )  # fmt: skip


def liquidity_rules(settings: Settings) -> tuple[Rule, ...]:
    """Limits of the mission's filter beyond the quality of the quote; unknown values pass.

    Needs a column `spot`. They mark a quote as not for fitting; a quiet contract is no issue.
    """
    moneyness = pl.col("spot") / pl.col("strike")
    low, high = settings.min_moneyness, settings.max_moneyness
    interest, volume = settings.min_open_interest, settings.min_volume
    return (
        Rule("open_interest", "info", pl.col("open_interest") <= interest,
             pl.col("open_interest"), interest),
        Rule("volume", "info", pl.col("volume") <= volume, pl.col("volume"), volume),
        Rule("dte_low", "info", dte < settings.min_dte, dte, settings.min_dte),
        Rule("dte_high", "info", dte > settings.max_dte, dte, settings.max_dte),
        Rule("moneyness_low", "info", moneyness <= low, moneyness, low),
        Rule("moneyness_high", "info", moneyness >= high, moneyness, high),
    )  # fmt: skip


def vol_rules(settings: Settings) -> tuple[Rule, ...]:
    """Rules of a solved quote: needs `iv_mid`, the `price` it is of, and `is_tradable`."""
    iv = pl.col("iv_mid")
    return (
        Rule("iv_too_low", "warning", iv < settings.min_iv, iv, settings.min_iv),
        Rule("iv_too_high", "warning", iv > settings.max_iv, iv, settings.max_iv),
        Rule(
            "iv_unsolvable",
            "warning",
            pl.col("is_tradable") & pl.col("is_out_of_the_money") & iv.is_null(),
            pl.col("price"),
            0.0,
        ),
    )


def broken(rules: Sequence[Rule]) -> pl.Expr:
    """Names of the rules that a row breaks, joined by `;`; null where it breaks none."""
    names = [pl.when(rule.breaks).then(pl.lit(rule.name)) for rule in rules]
    joined = pl.concat_str(names, separator=";", ignore_nulls=True)
    return pl.when(joined != "").then(joined)


def is_usable(settings: Settings) -> pl.Expr:
    """Whether a row is quoted on both sides, is priced and breaks no rule of severity error."""
    errors = [r.breaks.fill_null(False) for r in chain_rules(settings) if r.severity == "error"]
    is_priced = PRICES[settings.price_source].is_not_null()
    return IS_TRADABLE.fill_null(False) & is_priced & ~pl.any_horizontal(errors)
