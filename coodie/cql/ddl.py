"""
Schema changes as CQL text.

Rules that live here: creation is IF NOT EXISTS and removal IF EXISTS, so that each may be repeated; once one clustering
column is descending, the order of all of them is spelled out, as CQL wants it.
"""

from __future__ import annotations

from coodie.cql.quote import column_name, literal, object_name, table_name
from coodie.schema import Column, Table
from coodie.statement import (
    AddColumn,
    AlterOptions,
    CreateIndex,
    CreateTable,
    DropIndex,
    DropTable,
    Truncate,
)


def create_table(shape: CreateTable) -> str:
    """Return ``CREATE TABLE IF NOT EXISTS ...`` with key, clustering order and options."""
    table: Table = shape.table
    columns = ", ".join(map(_definition, table.columns))
    partition = ", ".join(column_name(column.name) for column in table.partition_key)
    clustering = "".join(f", {column_name(column.name)}" for column in table.clustering)
    key = f"PRIMARY KEY (({partition}){clustering})"
    return f"CREATE TABLE IF NOT EXISTS {table_name(table)} ({columns}, {key}){_with(table)}"


def _definition(column: Column) -> str:
    return f"{column_name(column.name)} {column.cql_type}{' STATIC' if column.static else ''}"


def _with(table: Table) -> str:
    parts = []
    if any(column.descending for column in table.clustering):
        order = (f"{column_name(c.name)} {'DESC' if c.descending else 'ASC'}" for c in table.clustering)
        parts.append(f"CLUSTERING ORDER BY ({', '.join(order)})")
    if table.default_ttl is not None:
        parts.append(f"default_time_to_live = {table.default_ttl}")
    parts += [f"{name} = {literal(value)}" for name, value in table.options]
    return f" WITH {' AND '.join(parts)}" if parts else ""


def add_column(shape: AddColumn) -> str:
    """Return ``ALTER TABLE ... ADD ...``."""
    return f"ALTER TABLE {table_name(shape.table)} ADD {_definition(shape.table.by_name[shape.column])}"


def alter_options(shape: AlterOptions) -> str:
    """Return ``ALTER TABLE ... WITH ...``; the options' values are CQL text already."""
    return f"ALTER TABLE {table_name(shape.table)} WITH " + " AND ".join(f"{n} = {text}" for n, text in shape.options)


def create_index(shape: CreateIndex) -> str:
    """Return ``CREATE INDEX IF NOT EXISTS ...``."""
    target = f"{table_name(shape.table)} ({column_name(shape.column)})"
    return f"CREATE INDEX IF NOT EXISTS {object_name(shape.index)} ON {target}"


def drop_index(shape: DropIndex) -> str:
    """Return ``DROP INDEX IF EXISTS ...``, the name as the catalogue spells it; it lives in its table's keyspace."""
    keyspace = f"{object_name(shape.table.keyspace)}." if shape.table.keyspace else ""
    name = object_name(shape.index) if shape.index == shape.index.lower() else column_name(shape.index)
    return f"DROP INDEX IF EXISTS {keyspace}{name}"


def drop_table(shape: DropTable) -> str:
    """Return ``DROP TABLE IF EXISTS ...``."""
    return f"DROP TABLE IF EXISTS {table_name(shape.table)}"


def truncate(shape: Truncate) -> str:
    """Return ``TRUNCATE TABLE ...``."""
    return f"TRUNCATE TABLE {table_name(shape.table)}"
