"""CPU time of several ways of doing one thing, interleaved in one run: medians and ratios.

The arithmetic that is timed stands in the `bench_*.py` scripts.
"""

import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
import scipy

ROUNDS = 7


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


def report(
    title: str, ways: dict[str, tuple[Callable[[], object], int, str]], unit: str = "ns"
) -> None:
    """Print the median CPU time per item of each way, and its ratio to the first one.

    A way is the call, the number of items it does, and what its result is worth.
    """
    times: dict[str, list[float]] = {name: [] for name in ways}
    for work, _, _ in ways.values():
        work()
    for _ in range(ROUNDS):
        for name, (work, items, _) in ways.items():
            start = time.process_time()
            work()
            times[name].append((time.process_time() - start) / items)
    scale = {"ns": 1e9, "us": 1e6, "ms": 1e3}[unit]
    medians = {name: statistics.median(values) * scale for name, values in times.items()}
    first = next(iter(medians.values()))
    print(f"\n{title}")
    for name, (_, items, worth) in ways.items():
        took = medians[name]
        print(f"  {name:<34}{took:12.1f} {unit}  x{took / first:<9.1f}{items:>9} items  {worth}")
