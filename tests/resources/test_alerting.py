"""Alerts over a real HTTP server and a real SMTP server on loopback."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from volsurf_resources.alerting import Alert, Alerter
from volsurf_resources.settings import Settings

ALERT = Alert(
    id="missing/SPY/2026-11-18", severity="error", title="SPY 2026-11-18 is missing",
    detail="The session has closed.", action="run `volsurf eod`",
)  # fmt: skip


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]  # type: ignore[misc]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def posts() -> Iterator[tuple[int, list[dict[str, Any]], list[int]]]:
    """A webhook: its port, what was posted, and the statuses to answer with."""
    received: list[dict[str, Any]] = []
    statuses: list[int] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = statuses.pop(0) if statuses else 200
            if status == 200:
                received.append(json.loads(body))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with serving(HTTPServer(("127.0.0.1", 0), Hook)) as port:
        yield port, received, statuses


@pytest.fixture
def mails() -> Iterator[tuple[int, list[str]]]:
    """A mail server: its port, and the messages it took (RFC 5321, the commands of one mail)."""
    received: list[str] = []

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.say(220, "ready")
            for line in self.rfile:
                verb = line.decode().strip().upper()
                if verb.startswith("DATA"):
                    self.say(354, "go on")
                    body = iter(lambda: self.rfile.readline().decode(), ".\r\n")
                    received.append("".join(body))
                    self.say(250, "taken")
                elif verb.startswith("QUIT"):
                    self.say(221, "bye")
                    return
                else:
                    self.say(250, "ok")

        def say(self, code: int, words: str) -> None:
            self.wfile.write(f"{code} {words}\r\n".encode())

    with serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session)) as port:
        yield port, received


def settings_of(home: Path, **changed: Any) -> Settings:
    return Settings(_env_file=None, volsurf_home=home, **changed)  # type: ignore[call-arg]


def test_nothing_is_sent_until_an_address_is_configured(tmp_path: Path) -> None:
    alerter = Alerter(settings_of(tmp_path))
    assert alerter.channels == {}
    assert not alerter.send(ALERT)
    assert list(tmp_path.iterdir()) == []


def test_an_alert_is_posted_once_with_its_severity_and_action(tmp_path: Path, posts: Any) -> None:
    port, received, _ = posts
    settings = settings_of(tmp_path, alert_webhook_url=f"http://127.0.0.1:{port}/hook")
    assert Alerter(settings).send(ALERT)
    assert not Alerter(settings).send(ALERT)  # another process, the same ledger
    assert len(received) == 1
    assert received[0]["severity"] == "error"
    assert received[0]["action"] == "run `volsurf eod`"
    for words in (ALERT.title, ALERT.detail, ALERT.action):
        assert words in received[0]["text"]
    assert Alerter(settings).send(replace(ALERT, id="missing/SPY/2026-11-19"))
    assert len(received) == 2


def test_a_failure_to_send_is_logged_and_tried_again(
    tmp_path: Path, posts: Any, caplog: pytest.LogCaptureFixture
) -> None:
    port, received, statuses = posts
    statuses.append(500)
    settings = settings_of(tmp_path, alert_webhook_url=f"http://127.0.0.1:{port}/hook")
    assert not Alerter(settings).send(ALERT)
    assert "missing/SPY/2026-11-18 was not sent" in caplog.text
    assert Alerter(settings).send(ALERT)
    assert len(received) == 1


def test_an_address_nobody_listens_at_breaks_nothing(tmp_path: Path) -> None:
    settings = settings_of(
        tmp_path,
        alert_webhook_url="http://127.0.0.1:9/",
        alert_email_to="a@b",
        smtp_host="127.0.0.1",
        smtp_port=9,
    )
    assert not Alerter(settings).send(ALERT)


def test_an_alert_is_mailed_once(tmp_path: Path, mails: Any) -> None:
    port, received = mails
    settings = settings_of(
        tmp_path, alert_email_to="desk@example.org", smtp_host="127.0.0.1", smtp_port=port
    )
    assert Alerter(settings).send(ALERT)
    assert not Alerter(settings).send(ALERT)
    (message,) = received
    assert "Subject: [volsurf error] SPY 2026-11-18 is missing" in message
    assert "To: desk@example.org" in message
    assert "What to do: run `volsurf eod`" in message


def test_a_channel_that_failed_is_made_up_for_without_repeating_the_other(
    tmp_path: Path, posts: Any, mails: Any
) -> None:
    (hook, received, statuses), (port, taken) = posts, mails
    statuses.append(503)
    settings = settings_of(
        tmp_path, alert_webhook_url=f"http://127.0.0.1:{hook}/", alert_email_to="a@example.org",
        smtp_host="127.0.0.1", smtp_port=port,
    )  # fmt: skip
    assert Alerter(settings).send(ALERT)
    assert (len(received), len(taken)) == (0, 1)
    assert Alerter(settings).send(ALERT)
    assert (len(received), len(taken)) == (1, 1)


def test_the_last_line_of_a_killed_process_is_passed_over(tmp_path: Path, posts: Any) -> None:
    port, received, _ = posts
    settings = settings_of(tmp_path, alert_webhook_url=f"http://127.0.0.1:{port}/hook")
    Alerter(settings).send(ALERT)
    ledger = tmp_path / "alerts.jsonl"
    ledger.write_text(ledger.read_text() + '{"id": "cut')
    assert not Alerter(settings).send(ALERT)
    other = replace(ALERT, id="missing/SPY/2026-11-19")
    assert Alerter(settings).send(other)
    assert not Alerter(settings).send(other)
    assert len(received) == 2
