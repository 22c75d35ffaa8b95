"""Answers that a reader is likely to want next, found while he looks at the last ones.

Belongs here: the one thread that works behind the pages. Not here: which answers these are.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

_PAUSE_S = 0.15  # what was asked for is drawn first
_worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ahead")
_newest = [0]


def soon(tasks: Sequence[Callable[[], object]]) -> None:
    """Carry out tasks in a moment, unless others are named before."""
    _newest[0] += 1
    _worker.submit(_carry_out, tasks, _newest[0])


def _carry_out(tasks: Sequence[Callable[[], object]], turn: int) -> None:
    time.sleep(_PAUSE_S)
    for task in tasks:
        if turn != _newest[0]:
            return
        with suppress(Exception):  # who asks for it himself is told what is wrong
            task()
