"""What can go wrong with the lake, and what the caller should do.

Belongs here: the errors of the store. Not here: those of market sources. The tree::

    LakeError
    |-- BadFrame        fix the code that made the frame; nothing was written
    |-- BadFile         write that date again; every other date still works
    |-- NoHome          choose a VOLSURF_HOME that can be written
    |-- NewerVersion    upgrade volsurf; the file was written by a later release
    `-- HistoryPruned   ask for a later time, or keep history longer
"""


class LakeError(Exception):
    """Base of all that the lake refuses."""


class BadFrame(LakeError, ValueError):
    """A frame breaks its table's contract: names table, column and value."""


class BadFile(LakeError):
    """A stored file is damaged, or was not written by the lake: names the file."""


class NoHome(LakeError):
    """The folder of lake, history and runs cannot be made or written."""


class NewerVersion(LakeError):
    """A stored file has a later schema than this program knows."""


class HistoryPruned(LakeError):
    """The version that was known at the time asked for is no longer kept."""
