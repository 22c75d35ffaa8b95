"""Dagster's SQLite storage at the speed of its disk's cache.

Belongs here: how this process writes the event log. Not here: what is written.

Dagster makes an engine and opens a connection for every event. Closing the last connection of a
database makes SQLite copy its journal back and sync, every commit syncs as well, and a new engine
compiles every statement anew: that is most of the cost of an event. Connections that stay open
spare the first and the last, `synchronous=NORMAL` the second. With the write-ahead journal that
Dagster uses, a crash of the process loses nothing; a power cut may lose the last events, never the
lake, which syncs its own files. A planned check has a row for every partition of its run, each with
the event whole: that is serialised once.
"""

import sqlite3
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import DagsterInstance
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationPlanned,
)
from dagster._core.events.log import EventLogEntry
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData, serialize_value
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

    def _store_asset_check_evaluation_planned(
        self, event: EventLogEntry, event_id: int | None
    ) -> None:
        """Write one row for each partition, as the storage does, of an event serialised once."""
        planned = event.dagster_event.event_specific_data if event.dagster_event else None
        if not isinstance(planned, AssetCheckEvaluationPlanned):
            raise TypeError(f"not a planned check: {event}")
        subset = planned.partitions_subset
        row = {
            "asset_key": planned.asset_key.to_string(),
            "check_name": planned.check_name,
            "run_id": event.run_id,
            "execution_status": AssetCheckExecutionRecordStatus.PLANNED.value,
            "evaluation_event": serialize_value(event),
            "evaluation_event_timestamp": datetime.fromtimestamp(event.timestamp, UTC).replace(
                tzinfo=None
            ),
            "evaluation_event_storage_id": event_id,
        }
        rows = [
            row | {"partition": key} for key in (subset.get_partition_keys() if subset else [None])
        ]
        if rows:
            with self.index_connection() as connection:
                connection.execute(AssetCheckExecutionsTable.insert(), rows)

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
