"""The log: lines of JSON, a file a day, thirty days, several processes."""

import json
import logging
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import pytest

from volsurf_resources.logbook import LOGGER, DailyFile, daily_path, daily_paths, keep_log
from volsurf_resources.settings import Settings


@pytest.fixture
def log():
    logger = logging.getLogger(LOGGER)
    yield logger
    for handler in [h for h in logger.handlers if isinstance(h, DailyFile)]:
        logger.removeHandler(handler)
        handler.close()


def record(message, at):
    made = logging.LogRecord("volsurf.test", logging.INFO, "", 0, message, (), None)
    made.created = at.timestamp()
    return made


def test_records_are_lines_of_json_with_their_trace(tmp_path, log):
    keep_log(Settings(volsurf_home=tmp_path))
    log.info("GET %s status=%d", "/chain", 200)
    try:
        raise ValueError("broken")
    except ValueError:
        log.exception("a run failed")
    (path,) = daily_paths(tmp_path / "logs/volsurf.log")
    first, second = map(json.loads, path.read_text().splitlines())
    assert first["message"] == "GET /chain status=200"
    assert (first["level"], first["logger"]) == ("INFO", "volsurf")
    assert datetime.fromisoformat(first["time"]).tzinfo is not None
    assert "ValueError: broken" in second["trace"]


def test_level_and_place_are_settings(tmp_path, log):
    keep_log(Settings(volsurf_home=tmp_path, log_level="ERROR", log_file=tmp_path / "my.txt"))
    log.warning("unheard")
    log.error("heard")
    (path,) = daily_paths(tmp_path / "my.txt")
    assert path.name.startswith("my-20")
    assert len(path.read_text().splitlines()) == 1


def test_asking_twice_logs_once_and_another_home_takes_over(tmp_path, log):
    for home in ("one", "one", "two"):
        keep_log(Settings(volsurf_home=tmp_path / home))
    log.info("once")
    assert daily_paths(tmp_path / "one/logs/volsurf.log") == []
    (path,) = daily_paths(tmp_path / "two/logs/volsurf.log")
    assert len(path.read_text().splitlines()) == 1


def test_each_day_has_its_file_and_the_thirty_first_is_removed(tmp_path):
    base = tmp_path / "volsurf.log"
    handler = DailyFile(base)
    first = datetime(2026, 1, 1, 23, 59, tzinfo=UTC)
    for n in range(40):
        handler.emit(record(f"day {n}", first + timedelta(days=n)))
    handler.close()
    last = first.date() + timedelta(days=39)
    kept = [daily_path(base, last - timedelta(days=n)) for n in range(30, -1, -1)]
    assert daily_paths(base) == kept
    assert "day 39" in kept[-1].read_text()


def test_files_of_others_are_left_alone(tmp_path):
    (tmp_path / "volsurf-notes.log").write_text("mine")
    (tmp_path / "other-2001-01-01.log").write_text("mine")
    handler = DailyFile(tmp_path / "volsurf.log")
    handler.emit(record("now", datetime(2026, 1, 1, tzinfo=UTC)))
    handler.close()
    assert (tmp_path / "volsurf-notes.log").exists()
    assert (tmp_path / "other-2001-01-01.log").exists()
    assert daily_path(tmp_path / "volsurf.log", date(2026, 1, 1)).exists()


def test_processes_share_a_file_without_losing_lines(tmp_path):
    code = (
        "import logging, sys; from volsurf_resources.logbook import keep_log;"
        "from volsurf_resources.settings import Settings;"
        f"keep_log(Settings(volsurf_home={str(tmp_path)!r}));"
        "[logging.getLogger('volsurf').info('%s %d', sys.argv[1], n) for n in range(200)]"
    )
    workers = [subprocess.Popen([sys.executable, "-c", code, str(n)]) for n in range(3)]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    paths = daily_paths(tmp_path / "logs/volsurf.log")
    lines = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    assert len(lines) == 600


def test_a_log_that_cannot_be_written_is_told_once_and_stops_nothing(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    handler = DailyFile(tmp_path / "file/volsurf.log")
    for _ in range(2):
        handler.emit(logging.makeLogRecord({"msg": "a word", "created": 0.0}))
    assert capsys.readouterr().err.count("no log is written") == 1
