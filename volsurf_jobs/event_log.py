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
from typing import Any


@contextmanager
def held_open() -> Iterator[None]:
    """Hold one connection to each SQLite database that SQLAlchemy opens in this process."""
    from sqlalchemy import Engine, event

    held: dict[str, sqlite3.Connection] = {}

    def on_connect(connection: Any, _: Any) -> None:
        if not isinstance(connection, sqlite3.Connection):
            return
        connection.execute("PRAGMA synchronous=NORMAL")
        path = connection.execute("PRAGMA database_list").fetchone()[2]
        if path and path not in held:
            held[path] = sqlite3.connect(path, check_same_thread=False)
            held[path].execute("SELECT count(*) FROM sqlite_master").fetchone()

    event.listen(Engine, "connect", on_connect)
    try:
        yield
    finally:
        event.remove(Engine, "connect", on_connect)
        for connection in held.values():
            connection.close()
