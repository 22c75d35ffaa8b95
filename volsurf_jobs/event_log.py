"""Dagster's SQLite storage at the speed of its disk's cache.

Belongs here: how this process writes the event log. Not here: what is written.

Dagster makes an engine and opens a connection for every event. Closing the last connection of a
database makes SQLite copy its journal back and sync, every commit syncs as well, and a new engine
compiles every statement anew: that is most of the cost of an event. Connections that stay open
spare the first and the last, `synchronous=NORMAL` the second. With the write-ahead journal that
Dagster uses, a crash of the process loses nothing; a power cut may lose the last events, never the
lake, which syncs its own files.
"""

import sqlite3
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import DagsterInstance
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine

_ENGINES = 4  # the index of all runs, and the runs of the moment


class PooledEventLog(SqliteEventLogStorage):
    """The event log in the same files, whose engines and connections are kept."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> "PooledEventLog":
        """Make one from the words of an instance's configuration."""
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._engine(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def _engine(self, shard: str) -> Engine:
        engine = self._engines.get(shard)
        if engine is None:
            engine = create_engine(self.conn_string_for_shard(shard), connect_args={"timeout": 60})
            self._engines[shard] = engine
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
        self._engines.move_to_end(shard)
        while len(self._engines) > _ENGINES:
            self._engines.popitem(last=False)[1].dispose()
        return engine

    def dispose(self) -> None:
        """Close all connections."""
        while self._engines:
            self._engines.popitem()[1].dispose()
        super().dispose()


def pooled_instance(home: Path) -> dg.DagsterInstance:
    """Open the instance of a home; one that is configured for another event log keeps that."""
    instance = dg.DagsterInstance.from_config(str(home))
    log = instance.event_log_storage
    if type(log) is not SqliteEventLogStorage:
        return instance
    instance.dispose()
    pooled = {
        "module": __name__,
        "class": PooledEventLog.__name__,
        "config": {"base_dir": log._base_dir},
    }
    return DagsterInstance.from_ref(
        InstanceRef.from_dir(str(home), overrides={"event_log_storage": pooled})
    )


@contextmanager
def held_open() -> Iterator[None]:
    """Hold one connection to each SQLite database that SQLAlchemy opens in this process."""
    from sqlalchemy import event

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
