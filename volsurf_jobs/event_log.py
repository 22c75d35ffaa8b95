"""Dagster's SQLite event log at the speed of its disk's cache.

Belongs here: how this process writes the event log. Not here: what is written.

Dagster opens and closes a connection for every event. Closing the last connection of a database
makes SQLite copy its journal back and sync, and every commit syncs as well: that is most of the
cost of an event. One connection held open spares the first, `synchronous=NORMAL` the second. With
the write-ahead journal that Dagster uses, a crash of the process loses nothing; a power cut may
lose the last events, never the lake, which syncs its own files.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def held_open() -> Iterator[None]:
    """Hold one connection to each SQLite database that SQLAlchemy opens in this process."""
    from sqlalchemy import Engine, event

    held: dict[str, sqlite3.Connection] = {}

    def hold(dialect: Any, _: Any, arguments: list[Any], __: Any) -> None:
        if dialect.name == "sqlite" and arguments and (path := str(arguments[0])) not in held:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            held[path] = sqlite3.connect(path, check_same_thread=False)
            held[path].execute("SELECT count(*) FROM sqlite_master").fetchone()

    def sync_less(connection: Any, _: Any) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous=NORMAL")

    event.listen(Engine, "do_connect", hold)
    event.listen(Engine, "connect", sync_less)
    try:
        yield
    finally:
        event.remove(Engine, "connect", sync_less)
        event.remove(Engine, "do_connect", hold)
        for connection in held.values():
            connection.close()
