"""
Names in SQL text: quoting, and looking a column up.

Rules that live here: names are quoted with grave accents, never with double quotes: SQLite takes a double-quoted name
that matches no column for a string, so a missing column would read as its own name instead of failing.
"""

from __future__ import annotations

from coodie.exceptions import InvalidQueryError
from coodie.schema import Column, Table

OWN_TABLES = ("coodie_columns", "coodie_flushes", "coodie_marks", "coodie_lifetimes")
"""Tables the driver keeps for itself: CQL types, the number of each writer's last flush, the marks, TTL."""

WRITTEN_AT = "_written_at"
"""The column beside a writer's totals that keeps their timestamp; no field of a model can have such a name."""


def quoted(name: str) -> str:
    """Return a name as SQL text."""
    return "`" + name.replace("`", "``") + "`"


def listed(names: list[str] | tuple[str, ...]) -> str:
    """Return names as SQL text, separated by commas."""
    return ", ".join(quoted(name) for name in names)


def plain_table_name(table: Table) -> str:
    """Return the name of a table in the file, without the quotes a CQL name may bear; refuse the driver's own names."""
    name = table.name
    if len(name) > 2 and name[0] == name[-1] == '"':
        name = name[1:-1].replace('""', '"')
    if name.lower() in OWN_TABLES or name.lower().startswith("sqlite_"):
        raise InvalidQueryError(
            f"Table name {name!r} is taken by the SQLite store itself; choose another Settings.name"
        )
    return name


def table_name(table: Table) -> str:
    """Return the name of a table as SQL text."""
    return quoted(plain_table_name(table))


def column_of(table: Table, name: str) -> Column:
    """Return the column of that name; InvalidQueryError where the table has none."""
    column = table.by_name.get(name)
    if column is None:
        known = ", ".join(table.by_name)
        raise InvalidQueryError(f"Table {table.name} has no column {name!r}; its columns are {known}")
    return column


def unsupported(what: str, instead: str = "") -> InvalidQueryError:
    """Return the error for something SQLite cannot do."""
    return InvalidQueryError(
        f"The SQLite store has no {what}" + (f"; {instead}" if instead else "") + " (nothing was sent)"
    )
