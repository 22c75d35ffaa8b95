"""The table of speed goals, measured: `make bench`, or `python benchmarks`.

Every row is measured in this one run, ours and its peers in turns. The scripts beside this one say
what is timed and print more; `README.md` says what came out, and why a goal does not hold.
"""

import time
from importlib import import_module
from importlib.util import find_spec

from side_by_side import Report, machine

SCRIPTS = (
    "bench_implied_vol",
    "bench_svi",
    "bench_essvi",
    "bench_sabr",
    "bench_heston",
    "bench_american",
    "bench_repair",
    "bench_session",
)
OURS = ("volsurf", "ours")  # beginnings of the names of our own ways
PEERS = ("QuantLib", "pyfeng", "vanilla_option_pricers", "pysabr")


def line(report: Report) -> str:
    """Say time, goal, ratios and verdict of one row."""
    goal = report.goal
    wanted = {} if goal is None else goal.ratios
    ratios = []
    for name, took in report.medians.items():
        if name.startswith(OURS):
            continue
        least = next((x for names, x in wanted.items() if name.startswith(names)), None)
        goal_text = f" (goal {least:.0f})" if least else ""
        ratios.append(f"{name.split(',')[0]} x{took / report.ours:.1f}{goal_text}")
    most = "" if goal is None else f"{goal.most:g}"
    time_text = f"{report.ours:9.1f} {report.unit:<3}{most:>6}"
    worth = report.worth[next(iter(report.medians))]
    return f"{report.title:<52}{time_text}  {report.verdict:<12} {worth}; {', '.join(ratios)}"


def main() -> None:
    begun = time.perf_counter()
    print(machine())
    print("absent peers:", ", ".join(p for p in PEERS if not find_spec(p)) or "none")
    reports = [found for name in SCRIPTS for found in import_module(name).speed_table()]
    print(f"\n\n{'through the public API, one core':<52}{'ours':>9}    {'goal':>6}  holds")
    for report in reports:
        print(line(report))
    print(f"\n{time.perf_counter() - begun:.0f} s in all")


if __name__ == "__main__":
    main()
