"""The list of every table. A new table is one declaration in its family and one line here."""

from volsurf_tables.certificates import SURFACE_CERTIFICATES
from volsurf_tables.market import (
    INDEX_LEVELS,
    MARKET_RATES,
    RAW_OPTIONS_CHAINS,
    UNDERLYING_PRICES,
)
from volsurf_tables.models import MODEL_SCORES, SABR_SMILES, SMILE_MODELS
from volsurf_tables.quotes import IMPLIED_FORWARDS, OPTION_QUOTES, QUOTE_ISSUES
from volsurf_tables.stochastic_vol import HESTON_SURFACES
from volsurf_tables.surfaces import (
    FITTED_SURFACES,
    SURFACE_CHANGES,
    SURFACE_POINTS,
    TERM_STRUCTURE_PARAMS,
)
from volsurf_tables.table import Table
from volsurf_tables.variance import REALIZED_VOLATILITY, VRP_METRICS

TABLES: tuple[Table, ...] = (
    RAW_OPTIONS_CHAINS,
    UNDERLYING_PRICES,
    MARKET_RATES,
    INDEX_LEVELS,
    QUOTE_ISSUES,
    IMPLIED_FORWARDS,
    OPTION_QUOTES,
    FITTED_SURFACES,
    HESTON_SURFACES,
    SABR_SMILES,
    SMILE_MODELS,
    MODEL_SCORES,
    SURFACE_CERTIFICATES,
    SURFACE_POINTS,
    TERM_STRUCTURE_PARAMS,
    SURFACE_CHANGES,
    REALIZED_VOLATILITY,
    VRP_METRICS,
)


def table(name: str) -> Table:
    """Return the table called `name`; KeyError listing the tables if there is none."""
    for known in TABLES:
        if known.name == name:
            return known
    raise KeyError(f"no table {name!r}; there are {', '.join(t.name for t in TABLES)}")
