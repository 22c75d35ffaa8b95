"""CPU time of several ways of doing one thing, interleaved in one run: medians and ratios.

The arithmetic that is timed stands in the `bench_*.py` scripts, each of which yields its rows of
the table of goals.
"""

import gc
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numba
import numpy as np
import scipy

ROUNDS, FEWEST, PATIENCE = 7, 3, 2.0  # turns of each way; seconds after which few are enough


def machine() -> str:
    """Return the machine, the versions and the load, without which no time counts."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), "")
    return (
        f"{model or platform.processor()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}, "
        f"numba {numba.__version__} ({numba.config.CPU_NAME or 'host'}), load "
        f"{os.getloadavg()[0]:.1f}"
    )


@dataclass(frozen=True, kw_only=True)
class Goal:
    """The longest time per item, and how many times that each named peer may take at least.

    Names are beginnings of names of ways; of several, the fastest one counts.
    """

    most: float
    ratios: dict[tuple[str, ...], float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was measured: medians per item, in `unit`; the first way is ours."""

    title: str
    unit: str
    medians: dict[str, float]
    worth: dict[str, str]
    goal: Goal | None

    @property
    def ours(self) -> float:
        return next(iter(self.medians.values()))

    def ratio(self, names: tuple[str, ...]) -> float | None:
        """How many times our time the fastest of the named peers takes; None if all are absent."""
        peers = [time for name, time in self.medians.items() if name.startswith(names)]
        return min(peers) / self.ours if peers else None

    def seen_from(self, way: str, title: str) -> "Report":
        """Return the same measurement with another of our ways as the first."""
        order = [way, *(name for name in self.medians if name != way)]
        return replace(self, title=title, medians={name: self.medians[name] for name in order})

    @property
    def verdict(self) -> str:
        """Whether the goal holds: yes, no, or what could not be judged."""
        if self.goal is None:
            return ""
        ratios = {names: self.ratio(names) for names in self.goal.ratios}
        misses = [] if self.ours <= self.goal.most else ["time"]
        misses += [
            names[0]
            for names, found in ratios.items()
            if found is not None and found < self.goal.ratios[names]
        ]
        absent = [names[0] for names, found in ratios.items() if found is None]
        said = f"no ({', '.join(misses)})" if misses else "yes"
        return said + (f", absent: {', '.join(absent)}" if absent else "")


@contextmanager
def _no_collection() -> Iterator[None]:
    """Collect no garbage within, as `timeit` does: whose turn it falls into is chance."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def report(
    title: str,
    ways: dict[str, tuple[Callable[[], object], int, str]],
    unit: str = "ns",
    goal: Goal | None = None,
) -> Report:
    """Print and return the median CPU time per item of each way, and its ratio to the first one.

    A way is the call, the number of items it does, and what its result is worth. Ways take turns;
    one that takes long takes fewer of them.
    """
    times: dict[str, list[float]] = {name: [] for name in ways}
    for work, _, _ in ways.values():
        work()
    with _no_collection():
        for turn in range(ROUNDS):
            for name, (work, items, _) in ways.items():
                if turn >= FEWEST and sum(times[name]) * items > PATIENCE:
                    continue
                start = time.process_time()
                work()
                times[name].append((time.process_time() - start) / items)
    scale = {"ns": 1e9, "us": 1e6, "ms": 1e3}[unit]
    found = Report(
        title=title,
        unit=unit,
        medians={name: statistics.median(values) * scale for name, values in times.items()},
        worth={name: worth for name, (_, _, worth) in ways.items()},
        goal=goal,
    )
    print(f"\n{title}")
    for name, took in found.medians.items():
        ratio, items = took / found.ours, ways[name][1]
        print(f"  {name:<34}{took:12.1f} {unit}  x{ratio:<9.1f}{items:>9} items  {ways[name][2]}")
    return found
