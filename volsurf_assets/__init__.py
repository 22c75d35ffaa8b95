"""How each table is made.

Dagster marks what we use of backfills, partitioned checks and owners as beta, once per asset; the
version is pinned for that reason, so the warnings tell nobody anything.
"""

import warnings

import dagster as dg

for _category in (dg.BetaWarning, dg.PreviewWarning):
    warnings.filterwarnings("ignore", category=_category)
