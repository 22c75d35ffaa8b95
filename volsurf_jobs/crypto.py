"""The second code location: coins, round the clock, by the same asset factories.

Belongs here: nothing but the definitions of that market, as `workspace.yaml` loads them.
"""

from volsurf_jobs.definitions import definitions_for
from volsurf_resources.settings import Settings

defs = definitions_for(Settings().for_market("crypto"))
