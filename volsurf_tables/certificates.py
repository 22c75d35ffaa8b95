"""What was checked on every stored surface, and the worst that was found.

Belongs here: certificates of surfaces. Not here: the surfaces (`surfaces`).
"""

from volsurf_tables.columns import DAY, REASON, count, names, number, word, yes_no
from volsurf_tables.surfaces import MODEL_TYPE
from volsurf_tables.table import Table

SURFACE_CERTIFICATES = Table(
    name="surface_certificates",
    group="surfaces",
    meaning="One certificate per surface: absence of static arbitrage, how finely it was "
    "checked, and the worst that was found. Read with the surface: fitted and carried slices.",
    key=names((*DAY, MODEL_TYPE)),
    version=2,
    columns=(
        *DAY,
        MODEL_TYPE,
        yes_no("is_clean", "Nothing was found where the model claims it: see calendar_scope."),
        yes_no("is_clean_everywhere", "Nothing was found on the whole line, calendar included."),
        word(
            "calendar_scope",
            "Where expiries may not cross: on the whole line, or where both are quoted.",
            "whole line",
            "quoted strikes",
        ),
        count("num_slices", "Expiries of the surface."),
        count("num_carried", "Of those, carried from an earlier session."),
        count("grid_points", "Points per slice; between them minima are refined."),
        number("grid_k_min", "log-moneyness", "Lowest grid point; beyond, limits are checked."),
        number("grid_k_max", "log-moneyness", "Highest grid point; beyond, limits are checked."),
        number("tolerance", "-", "What counts as a violation: of g, of relative variance."),
        number("min_total_variance", "vol^2 years", "Least total variance."),
        number("min_density_factor", "-", "Least Durrleman g on the whole line."),
        number("k_of_min_density", "log-moneyness", "Where that is."),
        number("tte_of_min_density", "years", "Of which expiry."),
        number("min_density_factor_between", "-", "Least g between listed expiries."),
        number("min_calendar_slope", "vol^2", "Least growth of variance per year, whole line."),
        number("k_of_min_calendar", "log-moneyness", "Where that is."),
        number("tte_of_min_calendar", "years", "The later expiry of that pair."),
        number("min_quoted_calendar_slope", "vol^2", "The same where both expiries are quoted."),
        number("max_wing_slope", "vol^2 years", "Steepest wing; Lee's limit is 2."),
        number("min_wing_gap", "vol^2 years", "Least growth of a wing's slope to the next expiry."),
        count("butterfly_violations", "Slices with negative density or variance."),
        count("calendar_violations", "Pairs of expiries that cross on the whole line."),
        count("quoted_calendar_violations", "Pairs that cross where both are quoted."),
        count("wing_violations", "Slices beyond Lee's limit."),
        word("status", "Outcome.", "certified", "no surface"),
        REASON,
    ),
)
