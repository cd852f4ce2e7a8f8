"""
Reads as CQL text: rows of a table, and the catalogue.

Rules that live here: columns are named one by one, never ``*``, so that a column the model does not know is not
fetched; catalogue look-ups carry their names as literals, because they are sent once.
"""

from __future__ import annotations

from coodie.cql.quote import column_name, literal, stored_name, table_name
from coodie.cql.where import where
from coodie.schema import Table
from coodie.statement import ReadColumns, ReadIndexes, ReadOptions, Select, Selected


def select(shape: Select) -> str:
    """Return ``SELECT ...`` with its clauses in the order CQL wants."""
    columns = shape.columns or tuple(Selected(column.name) for column in shape.table.columns)
    parts = [
        "SELECT DISTINCT " if shape.distinct else "SELECT ",
        ", ".join(map(_selected, columns)),
        f" FROM {table_name(shape.table)}",
        where(shape.where),
    ]
    if shape.group_by:
        parts.append(" GROUP BY " + ", ".join(map(column_name, shape.group_by)))
    if shape.order:
        ordering = (f"{column_name(name)} {'DESC' if descending else 'ASC'}" for name, descending in shape.order)
        parts.append(" ORDER BY " + ", ".join(ordering))
    if shape.per_partition_limited:
        parts.append(" PER PARTITION LIMIT ?")
    if shape.limited:
        parts.append(" LIMIT ?")
    if shape.allow_filtering:
        parts.append(" ALLOW FILTERING")
    return "".join(parts)


def _selected(selected: Selected) -> str:
    names = (selected.column, *selected.others)
    name = "*" if selected.column == "*" else ", ".join(map(column_name, names))
    if selected.cast:
        name = f"CAST({name} AS {selected.cast})"
    return f"{selected.function.upper()}({name})" if selected.function else name


def read_columns(shape: ReadColumns) -> str:
    """Return the look-up of a table's columns."""
    return f"SELECT column_name, type, kind, position FROM system_schema.columns{_of(shape.table)}"


def read_options(shape: ReadOptions) -> str:
    """Return the look-up of a table's options."""
    return f"SELECT * FROM system_schema.tables{_of(shape.table)}"


def read_indexes(shape: ReadIndexes) -> str:
    """Return the look-up of a table's indexes."""
    return f"SELECT index_name FROM system_schema.indexes{_of(shape.table)}"


def _of(table: Table) -> str:
    keyspace, name = literal(stored_name(table.keyspace or "")), literal(stored_name(table.name))
    return f" WHERE keyspace_name = {keyspace} AND table_name = {name}"
