"""What can be believed: quality findings, implied forwards, and quotes with our own vols.

Belongs here: what is derived contract by contract or expiry by expiry. Not here: fitted models.
"""

from volsurf_tables.columns import (
    CONTRACT_ID,
    DAY,
    EXERCISE_STYLE,
    EXPIRATION_DATE,
    EXPIRY,
    OPTION_TYPE,
    REASON,
    ROOT,
    STRIKE,
    TTE_YEARS,
    count,
    instant,
    names,
    number,
    word,
    yes_no,
)
from volsurf_tables.table import Table

QUOTE_ISSUES = Table(
    name="quote_issues",
    group="quotes",
    meaning="One row per quality rule that a contract breaks.",
    key=names((*DAY, CONTRACT_ID, word("rule", "The rule."))),
    columns=(
        *DAY,
        CONTRACT_ID,
        word("rule", "Name of the rule that is broken."),
        word("severity", "error: unusable; warning: not fitted; info.", "error", "warning", "info"),
        number("value", "of the rule", "What was measured."),
        number("threshold", "of the rule", "What the rule allows."),
    ),
)

IMPLIED_FORWARDS = Table(
    name="implied_forwards",
    group="quotes",
    meaning="The forward and discount factor that put-call parity implies for each expiry.",
    key=names(EXPIRY),
    columns=(
        *EXPIRY,
        EXERCISE_STYLE,
        TTE_YEARS,
        instant("expiry_time", "Settlement instant of the expiry."),
        number("spot", "USD", "Underlying price that the chain was paired with."),
        number("forward", "USD", "Forward price for the expiry.", low=0.0),
        number("discount_factor", "-", "Present value of 1 paid at expiry.", low=0.0),
        number("implied_rate", "per year, continuous", "-ln(discount_factor) / tte."),
        number("implied_carry", "per year, continuous", "ln(forward / spot) / tte."),
        number("forward_std_error", "USD", "Standard error of the forward."),
        number("discount_factor_std_error", "-", "Standard error of the discount factor."),
        count("n_pairs", "Put-call pairs used."),
        number("parity_gap_half_spreads", "half-spreads", "Median distance of pairs from parity."),
        word(
            "method",
            "Where the forward comes from.",
            "parity_regression",
            "parity_american",
            "carry",
            "vendor",
        ),
        word("status", "Outcome.", "estimated", "fallback", "failed"),
        REASON,
    ),
)

OPTION_QUOTES = Table(
    name="option_quotes",
    group="quotes",
    meaning="Every contract with our own implied volatility and greeks, and whether to use it.",
    key=names((*DAY, CONTRACT_ID)),
    columns=(
        *DAY,
        CONTRACT_ID,
        ROOT,
        EXPIRATION_DATE,
        STRIKE,
        OPTION_TYPE,
        number("bid", "price_unit", "Best bid, as received."),
        number("ask", "price_unit", "Best offer, as received."),
        number("mid", "price_unit", "(bid + ask) / 2 where both sides are quoted."),
        TTE_YEARS,
        number("forward", "USD", "Forward of the expiry."),
        number("discount_factor", "-", "Discount factor of the expiry."),
        number("log_moneyness", "-", "ln(strike / forward)."),
        number("iv_bid", "decimal", "Implied vol of the bid.", low=0.0),
        number("iv_mid", "decimal", "Implied vol of the mid.", low=0.0),
        number("iv_ask", "decimal", "Implied vol of the offer.", low=0.0),
        number("total_variance", "vol^2 years", "iv_mid^2 x tte_years.", low=0.0),
        number("early_exercise_premium", "USD", "Removed from the mid before solving for vol."),
        number("delta", "per USD of spot", "Spot delta."),
        number("gamma", "per USD^2 of spot", "Spot gamma."),
        number("theta", "USD per year", "Decay of the premium with the passing of time."),
        number("vega", "USD per 1.00 vol", "Sensitivity to implied vol."),
        number("rho", "USD per 1.00 rate", "Sensitivity to the rate."),
        yes_no("is_out_of_the_money", "Strike on the far side of the forward."),
        yes_no("is_liquid", "Passes every limit for fitting."),
        yes_no("is_tradable", "Quoted on both sides."),
        word("iv_status", "Why there is no implied vol; `solved` where there is one."),
        word("reject_reason", "Rules that keep it out of fits, joined by `;`; null if liquid."),
    ),
)
