"""
Tables: making and changing them, and the catalogue that keeps what SQLite has no word for.

Rules that live here:

* Tables are STRICT, so a sum beyond 64 bits is an error, and WITHOUT ROWID, so rows lie in the order of their key and a
  counter row is found in one tree. A key column takes no NULL; a counter begins at 0.
* ``coodie_columns`` keeps the CQL type and the role of each column, written in the transaction that makes the column. A
  table made by other hands is described by its SQLite types.
* Every function runs inside a transaction that its caller opened, and making what exists already changes nothing, so
  several processes may sync one table at once.
* The stored form of an exact table has one column more, for the timestamp of each row; the catalogue never shows it.
* Table options of Cassandra (compaction, comments) mean nothing here and are passed over.
"""

from __future__ import annotations

import sqlite3

from coodie.drivers.sqlite import lifetimes
from coodie.drivers.sqlite.collections import storage
from coodie.drivers.sqlite.names import WRITTEN_AT, column_of, plain_table_name, quoted, table_name, unsupported
from coodie.drivers.sqlite.orders import collation
from coodie.exceptions import InvalidQueryError
from coodie.schema import Column, Table
from coodie.statement import (
    AddColumn,
    AlterOptions,
    CreateIndex,
    CreateTable,
    DropIndex,
    DropTable,
    ReadColumns,
    ReadIndexes,
    ReadOptions,
    Rows,
    Truncate,
)

_CQL_OF_SQL = {"TEXT": "text", "INTEGER": "bigint", "INT": "bigint", "REAL": "double", "BLOB": "blob"}
_COLUMNS = """
SELECT info.name, info.type, info.pk, noted.cql_type, noted.kind, noted.position FROM pragma_table_info(?) AS info
LEFT JOIN coodie_columns AS noted ON noted.table_name = ? AND noted.column_name = info.name ORDER BY info.cid
"""
_NOTE = "INSERT OR REPLACE INTO coodie_columns VALUES (?, ?, ?, ?, ?)"


def create(connection: sqlite3.Connection, shape: CreateTable) -> Rows:
    """Make a table unless there is one of that name."""
    table: Table = shape.table
    if lifetimes.have(table):
        lifetimes.seconds(table, None)  # refuses a default out of range
    if not table.partition_key:
        raise InvalidQueryError(f"Table {table.name} has no primary key columns")
    names = [column.name.lower() for column in table.columns]
    if len(set(names)) < len(names):
        raise _refused_names(table)
    if not connection.execute("SELECT 1 FROM pragma_table_info(?)", [plain_table_name(table)]).fetchone():
        connection.execute(_create_text(table))
        for column in table.columns:
            _note(connection, table, column)
    return Rows()


def add_column(connection: sqlite3.Connection, shape: AddColumn) -> Rows:
    """Add a column unless the table has it."""
    column = column_of(shape.table, shape.column)
    found = connection.execute("SELECT name FROM pragma_table_info(?)", [plain_table_name(shape.table)]).fetchall()
    known = {name.lower(): name for (name,) in found}
    if known.get(column.name.lower(), column.name) != column.name:
        raise _refused_names(shape.table)
    if column.name not in known.values():
        connection.execute(f"ALTER TABLE {table_name(shape.table)} ADD COLUMN {_declared(column)}")
        _note(connection, shape.table, column)
    return Rows()


def _refused_names(table: Table) -> InvalidQueryError:
    return unsupported(f"two columns whose names differ in case only (table {table.name})", "rename one of them")


def create_index(connection: sqlite3.Connection, shape: CreateIndex) -> Rows:
    """Make a secondary index unless there is one of that name."""
    column = column_of(shape.table, shape.column)
    on = f"{table_name(shape.table)} ({quoted(column.name)})"
    connection.execute(f"CREATE INDEX IF NOT EXISTS {quoted(shape.index)} ON {on}")
    return Rows()


def drop_index(connection: sqlite3.Connection, shape: DropIndex) -> Rows:
    """Drop a secondary index, if it exists."""
    connection.execute(f"DROP INDEX IF EXISTS {quoted(shape.index)}")
    return Rows()


def alter_options(connection: sqlite3.Connection, shape: AlterOptions) -> Rows:
    """Pass over table options: they mean nothing to SQLite."""
    return Rows()


def drop(connection: sqlite3.Connection, shape: DropTable) -> Rows:
    """Drop a table and its part of the catalogue, if it exists."""
    table: Table = shape.table
    connection.execute(f"DROP TABLE IF EXISTS {table_name(table)}")
    connection.execute("DELETE FROM coodie_columns WHERE table_name = ?", [plain_table_name(table)])
    lifetimes.forget(connection, table)
    return Rows()


def truncate(connection: sqlite3.Connection, shape: Truncate) -> Rows:
    """Remove every row of a table."""
    connection.execute(f"DELETE FROM {table_name(shape.table)}")
    lifetimes.forget(connection, shape.table)
    return Rows()


def read_columns(connection: sqlite3.Connection, shape: ReadColumns) -> Rows:
    """Answer the columns of a table as Cassandra's catalogue would; none: no such table."""
    name = plain_table_name(shape.table)
    found = connection.execute(_COLUMNS, [name, name])
    return Rows([_described(*column) for column in found if column[0] != WRITTEN_AT])


def read_options(connection: sqlite3.Connection, shape: ReadOptions) -> Rows:
    """Answer no options: SQLite tables have none."""
    return Rows()


def read_indexes(connection: sqlite3.Connection, shape: ReadIndexes) -> Rows:
    """Answer the secondary indexes of a table."""
    name = plain_table_name(shape.table)
    found = connection.execute("SELECT name FROM pragma_index_list(?) WHERE origin = 'c' ORDER BY name", [name])
    return Rows([{"index_name": index} for (index,) in found])


def _create_text(table: Table) -> str:
    columns = ", ".join(_declared(column) for column in table.columns)
    if table.per_writer:
        columns += f", {quoted(WRITTEN_AT)} INTEGER NOT NULL"
    keys = ", ".join(f"{quoted(column.name)}{' DESC' if column.descending else ''}" for column in table.primary_key)
    return f"CREATE TABLE {table_name(table)} ({columns}, PRIMARY KEY ({keys})) STRICT, WITHOUT ROWID"


def _declared(column: Column) -> str:
    """Return the definition of a column; InvalidQueryError where SQLite has no such column."""
    if column.clustering_index is not None and collation(column.cql_type) is None:
        raise unsupported(f"order of clustering columns of type {column.cql_type} ({column.name!r})")
    if column.static:
        raise unsupported(f"static columns ({column.name!r})", "keep it in a table of its own")
    text = f"{quoted(column.name)} {storage(column.cql_type).sql_type}"
    if column.counter:
        return f"{text} NOT NULL DEFAULT 0"
    return f"{text} NOT NULL" if column.is_key else text


def _note(connection: sqlite3.Connection, table: Table, column: Column) -> None:
    kind, position = "regular", -1
    if column.partition_index is not None:
        kind, position = "partition_key", table.partition_key.index(column)
    elif column.clustering_index is not None:
        kind, position = "clustering", table.clustering.index(column)
    connection.execute(_NOTE, [plain_table_name(table), column.name, column.cql_type, kind, position])


def _described(
    name: str, sql_type: str, key_position: int, cql_type: str | None, kind: str | None, position: int | None
) -> dict[str, object]:
    if cql_type is None:
        cql_type = _CQL_OF_SQL.get(sql_type.upper(), "text")
        kind = ("regular", "partition_key")[key_position] if key_position < 2 else "clustering"
        position = -1 if key_position == 0 else max(key_position - 2, 0)
    return {"column_name": name, "type": cql_type, "kind": kind, "position": position}
