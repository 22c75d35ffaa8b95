"""What the market implies: fitted smiles, their shape through time and term.

Belongs here: tables of models of one session's quotes. Not here: realised quantities.
"""

import polars as pl

from volsurf_tables.columns import (
    DAY,
    EXPIRY,
    PRICE_SOURCE,
    REASON,
    TTE_YEARS,
    count,
    day,
    names,
    number,
    word,
    yes_no,
)
from volsurf_tables.table import Table

SLICE_MODELS = ("SVI", "SSVI")  # of fitted_surfaces; other tables hold others besides
IS_STANDARD = pl.col("model_type") == SLICE_MODELS[0]  # what is read unless a model is asked for
MODEL_TYPE = word("model_type", "Model of the smiles: SVI, SSVI (all expiries jointly) or another.")

FITTED_SURFACES = Table(
    name="fitted_surfaces",
    group="surfaces",
    meaning="One smile per expiry and model: raw SVI parameters, shape, errors, arbitrage tests, "
    "outcome. A carried smile stands as it was fitted, with the time, forward and errors of "
    "parameters_date.",
    version=3,
    key=names((*EXPIRY, MODEL_TYPE)),
    columns=(
        *EXPIRY,
        word(
            "model_type",
            "SVI: each expiry alone. SSVI: extended SSVI, all expiries of the root jointly.",
            *SLICE_MODELS,
        ),
        TTE_YEARS,
        number("forward", "USD", "Forward of the expiry."),
        number("svi_a", "vol^2 years", "Level."),
        number("svi_b", "vol^2 years", "Wing slope.", low=0.0),
        number("svi_rho", "-", "Tilt.", low=-1.0, high=1.0),
        number("svi_m", "log-moneyness", "Centre."),
        number("svi_sigma", "log-moneyness", "Width of the vertex.", low=0.0),
        number("atm_vol", "decimal", "Implied vol at the forward.", low=0.0),
        number("atm_vol_std_error", "decimal", "Standard error of atm_vol."),
        word(
            "atm_method",
            "Where atm_vol comes from: the model, or the two quotes around the forward.",
            "model",
            "quotes",
        ),
        number("skew_25delta", "decimal", "Put minus call implied vol at 25 delta."),
        number("skew_25delta_std_error", "decimal", "Standard error of skew_25delta."),
        number("butterfly_25delta", "decimal", "Mean 25-delta vol minus atm_vol."),
        number("rmse", "vol points", "Root mean squared error, unweighted."),
        number("mae", "vol points", "Mean absolute error."),
        number("max_error", "vol points", "Largest absolute error."),
        number("holdout_rmse", "vol points", "Error on every fifth strike when left out."),
        number(
            "inside_spread_share", "-", "Share of quotes whose model vol is inside bid-ask.", 0, 1
        ),
        count("num_points", "Quotes fitted."),
        number("k_min", "log-moneyness", "Lowest quote fitted."),
        number("k_max", "log-moneyness", "Highest quote fitted."),
        number("cap_std_devs", "standard deviations", "Quotes beyond this many were left out."),
        yes_no("passes_no_arbitrage", "No butterfly and no calendar violation."),
        count("butterfly_arbitrage_violations", "Grid points with negative density."),
        count("calendar_arbitrage_violations", "Grid points below the previous expiry's variance."),
        number("min_durrleman_g", "-", "Smallest density factor on the whole line."),
        number("min_calendar_slope", "vol^2", "Smallest slope of variance in time, at equal k."),
        number("left_wing_slope", "vol^2 years", "Slope of variance as k falls; Lee's limit is 2."),
        number("right_wing_slope", "vol^2 years", "Slope of variance as k rises; at most 2."),
        yes_no(
            "is_event_smile",
            "W-shaped: around the money quotes bend downwards by more than half-spread and chance.",
        ),
        number(
            "event_bump",
            "vol points",
            "Height of the money over the mean of the shoulders 0.75 sd away, both of a parabola "
            "through the quotes between; negative where smiles are convex.",
        ),
        number("event_bump_std_error", "vol points", "Standard error of event_bump."),
        number("event_bump_half_spread", "vol points", "Mean half-spread of those quotes."),
        word("side", "Which quotes were fitted.", "OTM", "CALLS", "PUTS"),
        word("weighting", "How quotes were weighted.", "vega", "equal", "open_interest"),
        PRICE_SOURCE,
        word("status", "Outcome.", "fitted", "skipped", "carried", "failed"),
        REASON,
        day("parameters_date", "Session whose quotes gave the parameters; older if carried."),
        word("model_version", "Version of the fitting code."),
    ),
)

SURFACE_POINTS = Table(
    name="surface_points",
    group="surfaces",
    meaning="The surface on a grid of tenors and moneyness; no value where quotes support none.",
    key=names(
        (*DAY, MODEL_TYPE, count("tenor_days", ""), word("axis", ""), number("coordinate", "", ""))
    ),
    columns=(
        *DAY,
        MODEL_TYPE,
        count("tenor_days", "Calendar days to expiry."),
        word("axis", "What the coordinate is.", "delta", "log_moneyness"),
        number("coordinate", "of the axis", "Forward delta (puts negative), or log-moneyness."),
        number("implied_vol", "decimal", "Implied vol there.", low=0.0),
        number("std_error", "decimal", "Its standard error."),
        number("log_moneyness", "-", "Where the point lies."),
        word("status", "Outcome.", "interpolated", "unsupported"),
        REASON,
    ),
)

TERM_STRUCTURE_PARAMS = Table(
    name="term_structure_params",
    group="surfaces",
    meaning="Power laws a x T^b through the ATM vols and the 25-delta skews of one session.",
    key=names((*DAY, MODEL_TYPE)),
    columns=(
        *DAY,
        word("model_type", "Form of the term structure.", "power_law"),
        number("atm_term_a", "decimal", "ATM vol at one year."),
        number("atm_term_b", "-", "Exponent of the ATM vol."),
        number("atm_term_rmse", "vol points", "Error of the ATM power law."),
        number("skew_term_a", "decimal", "25-delta skew at one year."),
        number("skew_term_b", "-", "Exponent of the skew."),
        number("skew_term_rmse", "vol points", "Error of the skew power law."),
        count("num_expirations", "Expiries used."),
        word("status", "Outcome.", "fitted", "skipped"),
        REASON,
    ),
)

SURFACE_CHANGES = Table(
    name="surface_changes",
    group="surfaces",
    meaning="What moved since the previous session, at constant maturity, and why.",
    key=names((*DAY, count("tenor_days", ""))),
    columns=(
        *DAY,
        count("tenor_days", "Calendar days to expiry."),
        day("previous_date", "Session compared with."),
        number("change_atm_vol", "vol points", "Change of ATM vol."),
        number("change_skew_25delta", "vol points", "Change of the 25-delta skew."),
        number("change_butterfly_25delta", "vol points", "Change of the 25-delta butterfly."),
        number("change_svi_a", "vol^2 years", "Change of a, read linearly in time."),
        number("change_svi_b", "vol^2 years", "Change of b."),
        number("change_svi_rho", "-", "Change of rho."),
        number("change_svi_m", "log-moneyness", "Change of m."),
        number("change_svi_sigma", "log-moneyness", "Change of sigma."),
        number("grid_rmse", "vol points", "Root mean squared change on the common grid."),
        number(
            "move_spot",
            "vol points",
            "Move of the strike one sd below the forward, by sliding along the old smile.",
        ),
        number("move_level", "vol points", "Part common to all tenors, at the forward."),
        number("move_skew", "vol points", "Part odd in moneyness."),
        number("move_curvature", "vol points", "Part even in moneyness."),
        number("move_term", "vol points", "Part of this tenor alone, at the forward."),
        word("status", "Outcome.", "compared", "unsupported"),
        REASON,
    ),
)
