"""The user's own files as a market: what a mapping says, how files are read, what is served.

Belongs here: vendors' words for columns, units and conventions, all of them in `mappings/*.toml`.
Not here: a market that answers over the network.
"""

from volsurf_resources.archive.loading import load_mapping, shipped_mappings
from volsurf_resources.archive.mapping import Mapping
from volsurf_resources.archive.source import Archive

__all__ = ["Archive", "Mapping", "load_mapping", "shipped_mappings"]
