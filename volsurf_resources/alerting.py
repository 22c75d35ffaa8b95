"""Alerts: a webhook and a mail, each alert sent once.

Belongs here: sending, and the ledger of what was sent. Not here: what is worth an alert
(volsurf_jobs). Nothing is sent until an address is configured; a failure to send is logged and
never stops the work; what could not be sent over any channel is tried again when it next comes up.
"""

import fcntl
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Literal

from volsurf_resources.settings import Settings

Severity = Literal["info", "warning", "error"]
_TIMEOUT_S = 10.0

_log = logging.getLogger("volsurf.alerts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What somebody should know. Two alerts of one `id` are the same one."""

    id: str
    severity: Severity
    title: str
    detail: str
    action: str  # what to do about it


class Alerter:
    """Sends alerts over the configured channels; the ledger lies in the home.

    Parameters
    ----------
    settings
        `alert_*` and `smtp_*` say where to; the home holds the ledger.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ledger = settings.volsurf_home / "alerts.jsonl"

    @property
    def channels(self) -> dict[str, Callable[[Alert], None]]:
        """What is configured: name of the channel, and how to send over it."""
        channels: dict[str, Callable[[Alert], None]] = {}
        if self._settings.alert_webhook_url is not None:
            channels["webhook"] = self._post
        if self._settings.alert_email_to is not None:
            channels["email"] = self._mail
        return channels

    def send(self, alert: Alert) -> bool:
        """Send an alert unless it was sent before; whether it now went out over any channel."""
        channels = self.channels
        if not channels:
            return False
        with self._opened() as sent:
            done = sent.get(alert.id, set())
            new = {
                name for name, send in channels.items() if name not in done and _try(send, alert)
            }
            if new:
                self._note(alert, sorted(new))
        return bool(new)

    def _post(self, alert: Alert) -> None:
        import httpx

        url = self._settings.alert_webhook_url
        assert url is not None
        text = f"[{alert.severity}] {alert.title}\n{alert.detail}\n{alert.action}"
        answer = httpx.post(
            url.get_secret_value(),
            json={"text": text, **asdict(alert)},
            timeout=_TIMEOUT_S,
        )
        answer.raise_for_status()

    def _mail(self, alert: Alert) -> None:
        import smtplib

        settings = self._settings
        message = EmailMessage()
        message["Subject"] = f"[volsurf {alert.severity}] {alert.title}".replace("\n", " ")
        message["From"] = settings.alert_email_from
        message["To"] = settings.alert_email_to
        message.set_content(f"{alert.detail}\n\nWhat to do: {alert.action}\n\n{alert.id}\n")
        with smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=_TIMEOUT_S) as server:
            if settings.smtp_user is not None and settings.smtp_password is not None:
                server.starttls()
                server.login(settings.smtp_user, settings.smtp_password.get_secret_value())
            server.send_message(message)

    @contextmanager
    def _opened(self) -> Iterator[dict[str, set[str]]]:
        """Hold the ledger, so that no other process sends the same; give what was sent."""
        self._ledger.parent.mkdir(parents=True, exist_ok=True)
        with self._ledger.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            sent: dict[str, set[str]] = {}
            for line in file:
                name, channels = _entry(line)
                sent.setdefault(name, set()).update(channels)
            yield sent

    def _note(self, alert: Alert, channels: list[str]) -> None:
        entry = {"time": datetime.now(UTC).isoformat(), "channels": channels, **asdict(alert)}
        with Path(self._ledger).open("a") as file:
            file.write(f"\n{json.dumps(entry)}\n")  # whatever a killed process left unended


def _entry(line: str) -> tuple[str, list[str]]:
    try:
        entry = json.loads(line)
        return entry["id"], entry["channels"]
    except (ValueError, KeyError):  # the last line of a killed process
        return "", []


def _try(send: Callable[[Alert], None], alert: Alert) -> bool:
    try:
        send(alert)
    except Exception as error:
        _log.warning("alert %s was not sent: %s: %s", alert.id, type(error).__name__, error)
        return False
    return True
