"""How long looking takes: a session's graphs, the dashboard's first screen, a printed section.

Run with a filled home in VOLSURF_HOME (`volsurf demo` makes one). Prints the machine, what was
measured, and the goal beside it. Each run is a process of its own, as a user starts it.
"""

import fcntl
import os
import pty
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.bench_platform import machine

RUNS = 5
GRAPHS = 30
VOLSURF = str(Path(sys.executable).with_name("volsurf"))


def main() -> None:
    print(machine())
    print(f"{'':34}{'median':>10}{'goal':>8}")
    with tempfile.TemporaryDirectory(prefix="volsurf-bench-") as folder:
        seconds = timed(lambda: subprocess.run([VOLSURF, "graphs", "--out", folder], check=True))
        drawn = len(list(Path(folder).glob("*.png")))
    report(f"{drawn} graphs, whole process", seconds)
    report(f"of {GRAPHS} graphs, at that rate", seconds * GRAPHS / drawn, 6.0)
    for size in ((80, 24), (200, 50)):
        report(f"dashboard's first screen, {size[0]}x{size[1]}", first_screen(*size), 1.5)
    for section in ("surface", "smile", "vrp"):
        report(f"volsurf show {section}", timed(lambda own=section: shown(own)))


def timed(call: Callable[[], object]) -> float:
    """Return the median seconds of some calls."""
    return statistics.median(_seconds(call) for _ in range(RUNS))


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def shown(section: str) -> None:
    subprocess.run([VOLSURF, "show", section], check=True, stdout=subprocess.DEVNULL)


def first_screen(columns: int, rows: int) -> float:
    """Return the median seconds from the start of the process to the greeks on the screen."""
    return statistics.median(_first_screen(columns, rows) for _ in range(RUNS))


def _first_screen(columns: int, rows: int) -> float:
    started = time.perf_counter()
    child, screen = pty.fork()
    if child == 0:
        os.execve(VOLSURF, [VOLSURF, "dashboard"], {**os.environ, "TERM": "xterm-256color"})
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    seen = b""
    while b"gamma" not in seen:
        if not select.select([screen], [], [], 60.0)[0]:
            raise TimeoutError("the dashboard shows nothing")
        seen += os.read(screen, 1 << 16)
    elapsed = time.perf_counter() - started
    os.write(screen, b"q")
    while select.select([screen], [], [], 5.0)[0]:
        try:
            os.read(screen, 1 << 16)
        except OSError:
            break
    os.close(screen)
    os.waitpid(child, 0)
    return elapsed


def report(what: str, seconds: float, goal: float | None = None) -> None:
    print(f"{what:34}{seconds:8.2f} s{'' if goal is None else f'{goal:6.1f} s'}")


if __name__ == "__main__":
    main()
