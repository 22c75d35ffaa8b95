"""What was realised, and the premium paid for it.

Belongs here: tables of realised volatility and of implied against realised.
"""

from volsurf_tables.columns import DAY, REASON, count, names, number, word
from volsurf_tables.table import Column, Table

_VOL = "decimal, annualised by the sessions of a year: 252, or 365 round the clock"


def _realised(name: str, meaning: str) -> Column:
    return number(name, _VOL, meaning, low=0.0)


REALIZED_VOLATILITY = Table(
    name="realized_volatility",
    group="variance",
    meaning="Realised volatility over trailing windows of sessions, and forecasts of the next 21.",
    key=names(DAY),
    version=2,
    columns=(
        *DAY,
        *(
            _realised(f"rv_{n}d", f"Close to close, {n} sessions.")
            for n in (10, 21, 30, 42, 60, 63, 90, 252)
        ),
        *(_realised(f"parkinson_{n}d", f"Parkinson, {n} sessions.") for n in (10, 21)),
        *(_realised(f"gk_{n}d", f"Garman-Klass, {n} sessions.") for n in (10, 21)),
        _realised("rogers_satchell_21d", "Rogers-Satchell, 21 sessions."),
        _realised("yang_zhang_21d", "Yang-Zhang, 21 sessions."),
        _realised("har_forecast_21d", "HAR forecast of the next 21 sessions."),
        _realised("garch_forecast_21d", "GARCH(1,1) forecast of the next 21 sessions."),
        count("num_sessions", "Sessions of history that were at hand."),
        word("status", "Outcome.", "complete", "partial", "missing"),
        REASON,
    ),
)

VRP_METRICS = Table(
    name="vrp_metrics",
    group="variance",
    meaning="Implied minus realised at constant maturity: volatility at the money, against its own "
    "past, and variance free of a model.",
    key=names(DAY),
    version=3,
    columns=(
        *DAY,
        *(
            number(f"vrp_{n}d", "decimal", f"Implied minus realised, {n} days.")
            for n in (30, 60, 90)
        ),
        *(
            number(
                f"implied_vol_{n}d", "decimal", f"ATM implied vol at {n} calendar days.", low=0.0
            )
            for n in (30, 60, 90)
        ),
        *(
            number(
                f"realized_vol_{n}d",
                _VOL,
                f"Close to close over {m} sessions, or {n} round the clock.",
                low=0.0,
            )
            for n, m in ((30, 21), (60, 42), (90, 63))
        ),
        number("vrp_zscore", "standard deviations", "vrp_30d against its own past."),
        number("vrp_percentile", "-", "Share of own past below vrp_30d.", low=0.0, high=1.0),
        count("num_history", "Past sessions that z-score and percentile use."),
        number(
            "model_free_variance_30d",
            "decimal^2",
            "Fair rate of a variance swap over 30 calendar days.",
            low=0.0,
        ),
        number("model_free_vol_30d", "decimal", "Its square root: 0.20 where VIX is 20.", low=0.0),
        word(
            "model_free_method",
            "Sum over the quotes of the two expiries around 30 days, or integral over their fitted "
            "smiles where a strip ends within 2 standard deviations.",
            "cboe_strip",
            "smile_integral",
        ),
        number(
            "model_free_reach", "standard deviations", "Shortest wing of the two strips.", low=2.0
        ),
        number(
            "variance_premium_30d",
            "decimal^2",
            "Model-free variance minus that realised, as in realized_vol_30d.",
        ),
        number(
            "index_vol_30d", "decimal", "The underlying's own index: VIX of SPX, DVOL.", low=0.0
        ),
        number("index_premium_30d", "decimal", "That index minus realized_vol_30d."),
        word("status", "Outcome.", "complete", "partial", "missing"),
        REASON,
    ),
)
