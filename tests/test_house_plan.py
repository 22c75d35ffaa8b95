"""The house plan, kept true: each room may use only the rooms below it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_USE = {
    "volsurf_math": set(),
    "volsurf_tables": set(),
    "volsurf_resources": {"volsurf_tables"},
    "volsurf_assets": {"volsurf_math", "volsurf_tables", "volsurf_resources"},
    "volsurf_jobs": {"volsurf_assets", "volsurf_resources", "volsurf_tables"},
    "volsurf_app": {"volsurf_jobs", "volsurf_resources", "volsurf_tables", "volsurf_math"},
}
SIMULATED = "volsurf_resources/simulated"  # docs/decisions/0003-simulated-market-uses-maths.md
STRANGERS = {  # outside libraries a room must never meet
    "volsurf_math": {"dagster", "polars", "duckdb", "httpx", "os", "pathlib", "datetime"},
    "volsurf_tables": {"dagster", "duckdb", "httpx", "os", "pathlib"},
    "volsurf_resources": {"dagster", "typer", "rich"},
    "volsurf_assets": {"duckdb", "httpx", "os", "typer", "rich"},
    "volsurf_jobs": {"typer", "rich"},
    "volsurf_app": {"httpx", "os"},
}
MAY_READ = {"settings.py", "home.py"}  # home.py hands DAGSTER_HOME to child processes
KERNEL_CACHE = {  # docs/decisions/0009-compiled-kernels-are-kept-by-source.md
    "volsurf_math/__init__.py",
    "volsurf_math/warming.py",
}
NOT_NAMES = {"utils", "helpers", "common", "constants", "misc"}


def modules_of(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def imports_of(module: Path, *, anywhere: bool = True) -> set[str]:
    """Modules that a file imports; without `anywhere`, only those of its loading."""
    tree = ast.parse(module.read_text())
    nodes = list(ast.walk(tree)) if anywhere else list(tree.body)
    names = {a.name for n in nodes if isinstance(n, ast.Import) for a in n.names}
    return names | {n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module}


def roots(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def is_simulated(module: Path) -> bool:
    return module.relative_to(ROOT).as_posix().startswith(SIMULATED)


@pytest.mark.parametrize("room", MAY_USE)
def test_room_uses_only_the_rooms_below_it(room):
    for module in modules_of(room):
        allowed = MAY_USE[room] | ({"volsurf_math"} if is_simulated(module) else set())
        used = roots(imports_of(module)) & (MAY_USE.keys() - {room})
        assert used <= allowed, f"{module.relative_to(ROOT)} uses {used - allowed}"


@pytest.mark.parametrize("room", STRANGERS)
def test_room_never_meets_its_strangers(room):
    for module in modules_of(room):
        met = roots(imports_of(module)) & STRANGERS[room]
        if module.relative_to(ROOT).as_posix() in KERNEL_CACHE:
            met -= {"pathlib"}
        assert not met, f"{module.relative_to(ROOT)} meets {met}"


@pytest.mark.parametrize("room", MAY_USE)
def test_every_module_opens_with_what_belongs_in_it(room):
    for module in modules_of(room):
        assert ast.get_docstring(ast.parse(module.read_text())), module
        assert module.stem not in NOT_NAMES, module


@pytest.mark.parametrize("room", MAY_USE)
def test_only_settings_read_the_environment(room):
    for module in modules_of(room):
        text = module.read_text()
        reads = "os.environ" in text or "getenv" in text
        assert not reads or module.name in MAY_READ, module


def test_no_room_is_missing_from_the_plan():
    assert {path.name for path in ROOT.glob("volsurf_*") if path.is_dir()} == set(MAY_USE)


def test_modules_that_only_look_never_load_dagster_even_inside():
    looking = [m for m in modules_of("volsurf_app") if "cli" not in m.parts]
    for module in looking:
        assert not roots(imports_of(module)) & {"dagster", "volsurf_jobs", "volsurf_assets"}


def test_no_module_of_the_app_loads_the_jobs_at_its_top():
    for module in modules_of("volsurf_app"):
        top = roots(imports_of(module, anywhere=False))
        assert not top & {"dagster", "volsurf_jobs", "volsurf_assets"}, module


@pytest.mark.parametrize(
    ("loaded", "strangers"),
    [
        ("volsurf_app.cli", ("dagster", "polars", "duckdb", "numpy", "scipy", "numba")),
        ("volsurf_math", ("dagster", "polars", "duckdb", "scipy.stats", "cvxpy", "statsmodels")),
        ("volsurf_tables.catalogue", ("dagster", "duckdb", "scipy", "numba")),
        ("volsurf_resources.lake", ("dagster", "scipy", "numba", "httpx")),
    ],
)
def test_loading_stays_light(loaded, strangers):
    code = f"import sys, {loaded}; print(*[s for s in {strangers} if s in sys.modules])"
    command = [sys.executable, "-c", code]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    assert answer.stdout.split() == []
