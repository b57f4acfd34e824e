"""The SQL side of the store: one table of revisions and a few numbers. Blocking; runs on the writer's thread.

log    revision | key | previous | created | deleted | value     (key, previous) unique: the compare-and-swap
state  ceiling     revisions up to here may have been handed out
       clean       equal to the ceiling: the last stop wrote everything
       compacted   history below is gone
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, create_engine, event, exc, text
from sqlalchemy.pool import StaticPool

from minikube.store import migrate
from minikube.store.errors import StoreError


class Row(msgspec.Struct, frozen=True, gc=False):
    """A row of the log. A deleted row's value is empty: the last value is in the row before."""

    revision: int
    key: str
    previous: int
    created: int
    deleted: bool
    value: bytes


COLUMNS = 6
ROWS_A_STATEMENT = 5000
UPSERT = "INSERT INTO state (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = :value"


def _on_connect(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # else the driver begins no transaction before DDL
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000", "cache_size=-2048"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


class Database:
    """Every method raises StoreError when the database refuses; nothing has happened then."""

    def __init__(self, url: str) -> None:
        self._engine: Engine = create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
        event.listen(self._engine, "connect", _on_connect)
        event.listen(self._engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))

    def open(self) -> Mapping[str, int]:
        """Migrate, and the numbers of `state`."""
        with _translated():
            migrate.upgrade(self._engine)
            with self._engine.connect() as connection:
                found = connection.execute(text("SELECT name, value FROM state"))
                return {row.name: row.value for row in found}

    def rows(self) -> Iterator[Row]:
        """The whole log in revision order."""
        with _translated(), self._engine.connect() as connection:
            found = connection.exec_driver_sql(
                "SELECT revision, key, previous, created, deleted, value FROM log ORDER BY revision"
            )
            for revision, key, previous, created, deleted, value in found:
                yield Row(revision, key, previous, created, bool(deleted), bytes(value))

    def append(self, rows: Sequence[Row], state: Mapping[str, int]) -> None:
        """These rows and numbers in one transaction; durable when it returns."""
        with _translated(), self._engine.begin() as connection:
            for begin in range(0, len(rows), ROWS_A_STATEMENT):
                _insert(connection, rows[begin : begin + ROWS_A_STATEMENT])
            for name, value in state.items():
                connection.execute(text(UPSERT), {"name": name, "value": value})

    def forget(self, revisions: Sequence[int], compacted: int) -> None:
        """Delete these rows; a superseded row never goes after the tombstone that superseded it."""
        with _translated(), self._engine.begin() as connection:
            if revisions:
                marks = ",".join(str(int(revision)) for revision in revisions)
                connection.exec_driver_sql(f"DELETE FROM log WHERE revision IN ({marks})")
            connection.execute(text(UPSERT), {"name": "compacted", "value": compacted})

    def vacuum(self) -> None:
        """Write the file anew without what was deleted, and empty the write-ahead log."""
        with _translated():
            connection = self._engine.raw_connection()
            cursor = connection.cursor()
            cursor.execute("VACUUM")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            cursor.close()
            connection.close()

    def close(self) -> None:
        self._engine.dispose()


def _insert(connection: Connection, rows: Sequence[Row]) -> None:
    """One statement for all rows: each statement is a hand-over of the interpreter lock on a busy loop."""
    marks = ",".join(("(?,?,?,?,?,?)",) * len(rows))
    values: list[Any] = []
    for row in rows:
        values += (row.revision, row.key, row.previous, row.created, row.deleted, row.value)
    connection.exec_driver_sql(
        f"INSERT INTO log (revision, key, previous, created, deleted, value) VALUES {marks}", tuple(values)
    )


class _translated:
    """SQL errors become StoreError here and nowhere else."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: Any) -> None:
        if isinstance(error, exc.DBAPIError):
            raise StoreError(f"the database refused: {error.orig}") from error
        if isinstance(error, exc.SQLAlchemyError):
            raise StoreError(f"the database refused: {error}") from error
