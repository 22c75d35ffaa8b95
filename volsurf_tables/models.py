"""Smiles of the other models, and how all models compare.

Belongs here: tables of SABR, of every registered smile model that has no table of its own, and of
the scores. Not here: raw SVI and SSVI (`surfaces`).
"""

from volsurf_tables.columns import (
    DAY,
    EXPIRY,
    REASON,
    TTE_YEARS,
    count,
    day,
    names,
    number,
    word,
    yes_no,
)
from volsurf_tables.stochastic_vol import HESTON_SURFACES
from volsurf_tables.surfaces import FITTED_SURFACES, MODEL_TYPE
from volsurf_tables.table import Table

_FORWARD, *_SHAPE = (
    FITTED_SURFACES.column(name)
    for name in ("forward", "atm_vol", "skew_25delta", "butterfly_25delta")
)
_ERRORS = (
    *(
        FITTED_SURFACES.column(name)
        for name in ("rmse", "mae", "max_error", "holdout_rmse", "inside_spread_share")
    ),
    number("within_1_point_share", "-", "Share of quotes within one vol point of the model.", 0, 1),
    number("within_10_bps_share", "-", "Share within a tenth of a vol point of the model.", 0, 1),
    *(FITTED_SURFACES.column(name) for name in ("num_points", "k_min", "k_max")),
)
_DENSITY = (
    number("min_durrleman_g", "-", "Smallest density factor within 6 sd of the forward."),
    count("butterfly_arbitrage_violations", "Points of a grid over 6 sd with negative density."),
)

SABR_SMILES = Table(
    name="sabr_smiles",
    group="surfaces",
    meaning="One SABR smile per expiry by Hagan's formula, beta given, and the smooth alpha, rho "
    "and nu through all expiries of the root. A carried smile stands as it was fitted.",
    key=names(EXPIRY),
    columns=(
        *EXPIRY,
        TTE_YEARS,
        _FORWARD,
        number("alpha", "USD^(1-beta) per sqrt(year)", "Volatility of F per F^beta.", low=0.0),
        number("beta", "-", "Exponent of the forward, as set.", low=0.0, high=1.0),
        number("rho", "-", "Correlation of forward and volatility.", low=-1.0, high=1.0),
        number("nu", "per sqrt(year)", "Volatility of volatility.", low=0.0),
        number("alpha_std_error", "USD^(1-beta) per sqrt(year)", "Standard error of alpha."),
        number("rho_std_error", "-", "Standard error of rho."),
        number("nu_std_error", "per sqrt(year)", "Standard error of nu."),
        number("term_alpha", "USD^(1-beta) per sqrt(year)", "alpha(T) of the smooth curves."),
        number("term_rho", "-", "rho(T) of the smooth curves.", low=-1.0, high=1.0),
        number("term_nu", "per sqrt(year)", "nu(T) of the smooth curves.", low=0.0),
        number("term_rmse", "vol points", "Error of the smooth curves on this expiry's quotes."),
        *_SHAPE,
        *_ERRORS,
        *_DENSITY,
        number("sound_k_min", "log-moneyness", "Below it density is negative; null: none found."),
        number("sound_k_max", "log-moneyness", "Above it density is negative; null: none found."),
        yes_no("is_sound_at_quotes", "No negative density between the outermost quotes."),
        word("status", "Outcome.", "fitted", "skipped", "carried", "failed"),
        REASON,
        day("parameters_date", "Session whose quotes gave the parameters; older if carried."),
    ),
)

SMILE_MODELS = Table(
    name="smile_models",
    group="surfaces",
    meaning="One smile per expiry and model of the setting SMILE_MODELS, fitted to the quotes that "
    "all models are fitted to.",
    key=names((*EXPIRY, MODEL_TYPE)),
    columns=(
        *EXPIRY,
        MODEL_TYPE,
        TTE_YEARS,
        _FORWARD,
        word("parameters", "JSON object of the parameters by name."),
        *_SHAPE,
        *_ERRORS,
        *_DENSITY,
        word("status", "Outcome.", "fitted", "skipped", "failed"),
        REASON,
    ),
)

MODEL_SCORES = Table(
    name="model_scores",
    group="surfaces",
    meaning="How well each model fits, foretells left-out strikes, and stays put, by session. The "
    "market's own moves are the same for all models: one that changes more moves by itself.",
    key=names((*DAY, MODEL_TYPE)),
    columns=(
        *DAY,
        MODEL_TYPE,
        count("num_expirations", "Expiries fitted."),
        count("num_points", "Quotes fitted."),
        number("median_rmse", "vol points", "Median over expiries of the error of the fit."),
        number("pooled_rmse", "vol points", "Error of the fit over all quotes."),
        number(
            "median_holdout_rmse",
            "vol points",
            "Median over expiries of the error on every fifth strike when left out.",
        ),
        number("pooled_holdout_rmse", "vol points", "The same error over all quotes."),
        number(
            "inside_spread_share", "-", "Share of quotes whose model vol is inside bid-ask.", 0, 1
        ),
        day("previous_date", "Session compared with."),
        number(
            "atm_vol_change",
            "vol points",
            "Median over expiries of the absolute change of ATM vol.",
        ),
        number("skew_25delta_change", "vol points", "The same of the 25-delta skew."),
        number("butterfly_25delta_change", "vol points", "The same of the 25-delta butterfly."),
        count("rank", "Place by pooled_holdout_rmse, 1 the best; null if expiries are missing."),
        word("status", "Outcome.", "scored", "partial"),
        REASON,
    ),
)

OWN_TABLES = {
    "SVI": FITTED_SURFACES,
    "SSVI": FITTED_SURFACES,
    "SABR": SABR_SMILES,
    "HESTON": HESTON_SURFACES,
}


def model_type_of(name: str) -> str:
    """Return what the tables call a registered model."""
    return "SVI" if name == "raw_svi" else name.upper()


def table_of(model_type: str) -> Table:
    """Return the table that holds a model's fits."""
    return OWN_TABLES.get(model_type, SMILE_MODELS)
