"""Deribit's public API: coin-settled and linear options, round the clock.

`Deribit` and `RecordedDeribit` are what others use: live, and replayed from files. Below them
`taking` makes one `Snapshot` of a few `questions`, `client` sends them, `translation` makes our
tables of it, `findings` names what is odd, `collector` keeps a rhythm.
"""

from volsurf_resources.deribit.replay import RecordedDeribit
from volsurf_resources.deribit.snapshot import Snapshot
from volsurf_resources.deribit.source import Deribit

__all__ = ["Deribit", "RecordedDeribit", "Snapshot"]
