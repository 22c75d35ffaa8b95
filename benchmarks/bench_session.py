"""One real session of SPY, every model, on all cores: `python benchmarks/bench_session.py`.

What the recipes of the tables that hold models compute, as the platform runs them, from quotes that
are already in the lake; reading is in it, storing is not. Needs the folder of real data in
VOLSURF_REAL_DATA; the home is made in a temporary folder and removed. Wall time, because the fits
share the cores. Goal: 0.5 s on two cores.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from side_by_side import Goal, Report, machine

DAY = date(2026, 7, 28)
MODELS = ("fitted_surfaces", "heston_surfaces", "sabr_smiles", "smile_models")
ROUNDS = 3


def environment(home: Path, data: str) -> dict[str, str]:
    ours = {
        "VOLSURF_HOME": str(home),
        "VOLSURF_SOURCE": "archive",
        "VOLSURF_ARCHIVE": data,
        "INGESTION_START_DATE": "2018-01-01",
    }
    return {k: v for k, v in os.environ.items() if k != "DAGSTER_HOME"} | ours


def seconds_by_table(home: Path, data: str) -> dict[str, list[float]]:
    """Fill the lake with the session, then make each table of models anew."""
    env = environment(home, data)
    command = [sys.executable, "-m", "volsurf_app", "eod", "--date", str(DAY), "--symbol", "SPY"]
    subprocess.run(command, check=False, env=env, stdout=subprocess.DEVNULL)
    os.environ |= env
    from volsurf_app.cli.working import runner_of
    from volsurf_resources.settings import Settings

    settings = Settings()
    times: dict[str, list[float]] = {}
    with runner_of(settings) as runner:
        from volsurf_assets.graph import RECIPES

        models = [recipe for recipe in RECIPES if recipe.table.name in MODELS]
        for turn in range(ROUNDS + 1):
            for recipe in models:
                session = recipe.session(runner.lake, settings, DAY, ("SPY",))
                begun = time.perf_counter()
                recipe.compute(session)
                if turn > 0:
                    times.setdefault(recipe.table.name, []).append(time.perf_counter() - begun)
    return times


def speed_table():
    data = os.environ.get("VOLSURF_REAL_DATA")
    if data is None:
        return
    with tempfile.TemporaryDirectory(prefix="volsurf-bench-") as home:
        times = seconds_by_table(Path(home), data)
    whole = statistics.median(map(sum, zip(*times.values(), strict=True))) * 1e3
    print("\none session of SPY, every model, wall time")
    for name, values in times.items():
        print(f"  {name:<34}{statistics.median(values) * 1e3:12.1f} ms")
    print(f"  {'all':<34}{whole:12.1f} ms")
    yield Report(
        title="one SPY session, every model",
        unit="ms",
        medians={"volsurf": whole},
        worth={"volsurf": f"{len(times)} tables"},
        goal=Goal(most=500.0),
    )


def main() -> None:
    print(machine())
    if not list(speed_table()):
        sys.exit("VOLSURF_REAL_DATA names no folder of real data")


if __name__ == "__main__":
    main()
