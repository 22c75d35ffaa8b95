"""The platform on real chains: one session, a backfill, the start of the command, Dagster's share.

Run with the folder of real data in VOLSURF_REAL_DATA. Prints the machine, what was measured, and
the goal beside it. Homes are made in a temporary folder and removed.
"""

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

GOALS = {
    "volsurf --help": 0.5,
    "SPY session, compute of all tables": 2.0,
    "SPY session, whole `volsurf eod` process": 12.0,
    "SPX backfill of 40 sessions, one process": 90.0,
    "SPX backfill, peak memory, GB": 2.0,
    "Dagster per session in a range": 0.3,
}
SPY_DAYS = [date(2026, 7, 28), date(2026, 7, 29), date(2026, 7, 30), date(2026, 7, 31)]
SPY_FIRST, SPY_LAST = date(2026, 7, 22), date(2026, 8, 12)
SPX_FIRST, SPX_SESSIONS = date(2019, 4, 25), 40


def main() -> None:
    data = os.environ.get("VOLSURF_REAL_DATA")
    if data is None:
        sys.exit("VOLSURF_REAL_DATA names no folder of real data")
    print(machine())
    with tempfile.TemporaryDirectory(prefix="volsurf-bench-") as folder:
        home = Path(folder)
        report("volsurf --help", [volsurf("--help")[0] for _ in range(5)])
        spy = environment(home / "spy", data)
        volsurf("eod", "--date", str(SPY_DAYS[0]), "--symbol", "SPY", env=spy)  # compiles, fills
        days = [str(day) for day in SPY_DAYS[1:]]
        whole = [volsurf("eod", "--date", d, "--symbol", "SPY", env=spy)[0] for d in days]
        report("SPY session, whole `volsurf eod` process", whole)
        words = ("--start", str(SPY_FIRST), "--end", str(SPY_LAST), "--history", "0")
        volsurf("backfill", "SPY", *words, env=spy)
        compute, share = in_process(spy)
        report("SPY session, compute of all tables", compute)
        report("Dagster per session in a range", share)
        seconds, peak = spx_backfill(environment(home / "spx", data))
        report("SPX backfill of 40 sessions, one process", [seconds])
        report("SPX backfill, peak memory, GB", [peak])


def machine() -> str:
    names = {line.split(":")[1].strip() for line in cpu_lines() if line.startswith("model name")}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[0]
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores "
        f"({', '.join(names) or 'unknown'}), {memory:.0f} GB, Python {platform.python_version()}, "
        f"load {load:.1f}"
    )


def cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def report(what: str, seconds: list[float]) -> None:
    spread = f"{min(seconds):.2f} to {max(seconds):.2f}, n={len(seconds)}"
    print(f"{what:<44} {statistics.median(seconds):>7.2f}   goal {GOALS[what]:<5} ({spread})")


def environment(home: Path, data: str) -> dict[str, str]:
    ours = {
        "VOLSURF_HOME": str(home),
        "VOLSURF_SOURCE": "archive",
        "VOLSURF_ARCHIVE": data,
        "INGESTION_START_DATE": "2018-01-01",
    }
    return {k: v for k, v in os.environ.items() if k != "DAGSTER_HOME"} | ours


def volsurf(*words: str, env: dict[str, str] | None = None) -> tuple[float, float]:
    """Run a command; return its seconds and its peak memory in GB."""
    command = [sys.executable, "-m", "volsurf_app", *words]
    started = time.perf_counter()
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    said = process.stdout.read() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode == 2 or ("done" not in said and words != ("--help",)):
        sys.exit(f"{' '.join(words)} ended with {process.returncode}:\n{said}")
    return seconds, usage.ru_maxrss / 2**20


def in_process(env: dict[str, str]) -> tuple[list[float], list[float]]:
    """Seconds per session of the recipes alone, and what each further session of a run adds.

    The second is the slope between a run over four sessions and one over all: what a range costs
    per session, less the recipes themselves.
    """
    os.environ |= env
    from volsurf_app.cli.working import runner_of
    from volsurf_resources.settings import Settings

    settings = Settings()
    alone, share = [], []
    with runner_of(settings) as runner:
        from volsurf_assets.graph import RECIPES

        every = runner.lake.days("raw_options_chains")

        def recipes(days: list[date]) -> float:
            started = time.perf_counter()
            for day in days:
                begun = time.perf_counter()
                for recipe in RECIPES:
                    recipe.make(recipe.session(runner.lake, settings, day, ("SPY",)))
                alone.append(time.perf_counter() - begun)
            return time.perf_counter() - started

        def run(days: list[date]) -> float:
            started = time.perf_counter()
            runner.run_sessions(days, ["SPY"], ingest=False, force=True)
            return time.perf_counter() - started

        for _ in range(3):
            few, many = (run(days) - recipes(days) for days in (every[:4], every))
            share.append((many - few) / (len(every) - 4))
    return alone[len(every) :], share


def spx_backfill(env: dict[str, str]) -> tuple[float, float]:
    """Seconds and peak memory of a backfill of the first sessions that the archive serves."""
    from volsurf_resources.archive import Archive

    last = Archive(Path(env["VOLSURF_ARCHIVE"])).sessions("SPX", SPX_FIRST, date(2019, 12, 31))
    end = str(last[SPX_SESSIONS - 1])
    words = ("backfill", "SPX", "--start", str(SPX_FIRST), "--end", end, "--history", "0")
    return volsurf(*words, env=env)


if __name__ == "__main__":
    main()
