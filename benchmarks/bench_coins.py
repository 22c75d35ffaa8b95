"""A recorded chain of Deribit to surfaces and pictures: `python benchmarks/bench_coins.py FILE`.

FILE is a snapshot of either format that `volsurf_resources.deribit.snapshot` reads. Whole processes
are started anew, with imports and all, and collect garbage as `volsurf` does; the steps within are
told by themselves, and the fits alone.
"""

import gc
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime
from pathlib import Path

RUNS = 3
FEWER_COLLECTIONS = 50_000


def once(file: str, home: str) -> None:
    """Take one snapshot to fitted surfaces and graphs; print the seconds of each step."""
    started = time.perf_counter()
    from volsurf_assets import forwards, quotes, smiles
    from volsurf_assets.intake import Intake
    from volsurf_resources.deribit import RecordedDeribit
    from volsurf_resources.lake import Lake
    from volsurf_resources.settings import Settings

    steps = {"imports": time.perf_counter() - started}

    def timed(name: str, work: object) -> object:
        begun = time.perf_counter()
        result = work()  # type: ignore[operator]
        steps[name] = time.perf_counter() - begun
        return result

    settings = Settings(_env_file=None, volsurf_home=home, volsurf_market="crypto")
    lake, source = Lake(settings.lake_root, calendar=settings.calendar), RecordedDeribit(Path(file))
    (symbol,) = source.recordings.symbols()
    day = source.recordings.instants(symbol)[-1].date()
    intake = Intake(lake, source, settings, lambda: datetime.now(UTC), [symbol])
    timed("load", lambda: (intake.chains(day), intake.rates(day)))
    for recipe in (forwards.implied_forwards, quotes.option_quotes, smiles.fitted_surfaces):
        timed(recipe.table.name, lambda r=recipe: r.refresh(lake, settings, day))
    steps["graphs"] = -time.perf_counter()
    n = _draw(lake, symbol, day, Path(home) / "graphs")
    steps["graphs"] += time.perf_counter()
    steps["svi alone"] = min(_fit(lake, settings, day) for _ in range(5))
    print(json.dumps({"graphs drawn": n, **steps}))


def _draw(lake: object, symbol: str, day: date, folder: Path) -> int:
    from volsurf_app import queries
    from volsurf_app.graphs import write_graphs

    pictures = queries.smile_pictures(lake, symbol, day, model_type="SVI", statuses=("fitted",))  # type: ignore[arg-type]
    return len(list(write_graphs(pictures, symbol, day, folder)))


def _fit(lake: object, settings: object, day: date) -> float:
    from volsurf_assets.smile_fits import MODELS, fit_model
    from volsurf_assets.smile_points import points_of, points_to_fit

    expiries = lake.read("implied_forwards", [day]).sort("expiration_date")  # type: ignore[attr-defined]
    chosen = points_to_fit(lake.read("option_quotes", [day]), settings)  # type: ignore[attr-defined, arg-type]
    points = points_of(chosen, expiries, settings)  # type: ignore[arg-type]
    begun = time.perf_counter()
    fit_model(MODELS["SVI"], points, settings, 6)  # type: ignore[arg-type]
    return time.perf_counter() - begun


def main() -> None:
    """Start a process per run and print the best of each step."""
    if len(sys.argv) == 3:
        gc.set_threshold(FEWER_COLLECTIONS)
        once(*sys.argv[1:])
        gc.freeze()
        return
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    from side_by_side import machine

    print(machine())
    found = []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as home:
            begun = time.perf_counter()
            words = [sys.executable, __file__, sys.argv[1], home]
            told = subprocess.run(words, check=True, capture_output=True, text=True).stdout
            found.append(json.loads(told) | {"whole process": time.perf_counter() - begun})
    for name in found[0]:
        print(f"{name:20} {min(run[name] for run in found):8.3f}")


if __name__ == "__main__":
    main()
