"""Stochastic volatility: one law behind all expiries of a session.

Belongs here: tables of models whose parameters hold for the whole surface. Not here: smiles, which
have parameters for each expiry (`surfaces`).
"""

from volsurf_tables.columns import DAY, REASON, count, day, names, number, word, yes_no
from volsurf_tables.table import Table

HESTON_PARAMETERS = ("kappa", "theta", "sigma", "rho", "v0")

_STD_ERROR = "Standard error of {}, were errors of quotes independent."

HESTON_SURFACES = Table(
    name="heston_surfaces",
    group="surfaces",
    meaning="Heston's model fitted to the liquid quotes of all expiries, how well, and from where "
    "the search began. A carried row stands as it was fitted on parameters_date.",
    key=names(DAY),
    columns=(
        *DAY,
        number("kappa", "per year", "Speed at which variance reverts.", low=0.0),
        number("theta", "decimal^2", "Variance in the long run.", low=0.0),
        number("sigma", "per year", "Volatility of variance.", low=0.0),
        number("rho", "-", "Correlation of price and variance.", low=-1.0, high=1.0),
        number("v0", "decimal^2", "Variance now.", low=0.0),
        number("kappa_std_error", "per year", _STD_ERROR.format("kappa"), low=0.0),
        number("theta_std_error", "decimal^2", _STD_ERROR.format("theta"), low=0.0),
        number("sigma_std_error", "per year", _STD_ERROR.format("sigma"), low=0.0),
        number("rho_std_error", "-", _STD_ERROR.format("rho"), low=0.0),
        number("v0_std_error", "decimal^2", _STD_ERROR.format("v0"), low=0.0),
        number("feller_ratio", "-", "2 kappa theta / sigma^2.", low=0.0),
        yes_no("is_feller", "The ratio is at least 1: variance stays above zero."),
        number("rmse", "vol points", "Root mean squared error, unweighted.", low=0.0),
        number("r_squared", "-", "Share of the variance of quoted vols explained.", high=1.0),
        number(
            "within_2_pct_share", "-", "Share of quotes whose price is met within 2 %.", 0.0, 1.0
        ),
        number("holdout_rmse", "vol points", "Error on every fifth strike when left out.", low=0.0),
        count("n_options", "Options fitted."),
        count("n_quotes", "Liquid quotes that the errors are of."),
        count("n_expiries", "Expiries of the options fitted."),
        word("objective", "What was made small.", "volatility", "relative_price"),
        word("start", "Where the search began: the last parameters, or anew.", "warm", "full"),
        word("start_reason", "Why it began there."),
        number("vix_change_pct", "%", "Change of VIX, or of a coin's DVOL, since the last fit."),
        count("n_iterations", "Steps of all local searches."),
        yes_no("is_global", "Differential evolution was asked as well."),
        word("status", "Outcome.", "fitted", "skipped", "carried", "failed"),
        REASON,
        day("parameters_date", "Session whose quotes gave the parameters; older if carried."),
    ),
)
