"""A home with a few simulated sessions, and the command line as a function."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from volsurf_app.cli import run
from volsurf_resources.exchange_calendar import last_sessions, latest_closed_session
from volsurf_resources.logbook import LOGGER, DailyFile
from volsurf_resources.settings import Settings

DAYS = last_sessions(latest_closed_session(datetime.now(UTC)), 3)
FIRST, LAST = DAYS[0], DAYS[-1]

Answer = tuple[int, str, str]
CommandLine = Callable[..., Answer]


@pytest.fixture(scope="session")
def filled_home(tmp_path_factory) -> Path:
    """The home of a demo of two sessions, up to the one before the latest."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch, own_logging():
        set_home(patch, home)
        words = f"demo --sessions 2 --date {DAYS[-2]} --history 110"
        assert run(words.split()) == 0
    return home


@pytest.fixture
def volsurf(filled_home, monkeypatch, capsys) -> Iterator[CommandLine]:
    """Run a command line on the filled home: exit code, output, errors."""
    set_home(monkeypatch, filled_home)
    with own_logging():
        yield caller(capsys)


@pytest.fixture
def volsurf_elsewhere(tmp_path, monkeypatch, capsys) -> Iterator[CommandLine]:
    """Run a command line on an empty home."""
    set_home(monkeypatch, tmp_path / "home")
    with own_logging():
        yield caller(capsys)


def caller(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    def call(*words: object) -> Answer:
        code = run([str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def set_home(patch: pytest.MonkeyPatch, home: Path) -> None:
    for name in Settings.model_fields:
        patch.delenv(name.upper(), raising=False)
    home.mkdir(exist_ok=True)
    patch.chdir(home.parent)
    patch.setenv("VOLSURF_HOME", str(home))
    patch.setenv("DAGSTER_HOME", str(home / "dagster"))


@contextmanager
def own_logging() -> Iterator[None]:
    """Leave the loggers as they were: the command line sets them for its own process."""
    level = logging.getLogger("dagster").level
    yield
    logging.getLogger("dagster").setLevel(level)
    ours = logging.getLogger(LOGGER)
    for handler in [h for h in ours.handlers if isinstance(h, DailyFile)]:
        ours.removeHandler(handler)
        handler.close()
