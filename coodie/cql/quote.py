"""
Names and literals as CQL text.

Rules that live here: columns are always quoted, exactly as the class spells them; a table or keyspace name is left
plain where CQL takes it plain, kept where the user quoted it, else quoted in lower case. Look-ups in the catalogue use
the name as the server stored it.
"""

from __future__ import annotations

import re
from typing import Any

from coodie.schema import Table

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_QUOTED = re.compile(r'"(?:[^"]|"")+"')
_RESERVED_WORDS = """
    add allow alter and apply asc authorize batch begin by columnfamily create default delete desc describe drop
    entries execute from full grant if in index infinity insert into is keyspace limit materialized mbean mbeans
    modify nan norecursive not null of on or order primary rename replace revoke schema select set table to token
    truncate unlogged unset update use using view where with
"""
_RESERVED = frozenset(_RESERVED_WORDS.split())


def column_name(name: str) -> str:
    """Return a column name, quoted."""
    return '"' + name.replace('"', '""') + '"'


def object_name(name: str) -> str:
    """Return the name of a table, keyspace or index, quoted only where it must be."""
    if _QUOTED.fullmatch(name) or (_PLAIN.fullmatch(name) and name.lower() not in _RESERVED):
        return name
    return '"' + name.lower().replace('"', '""') + '"'


def stored_name(name: str) -> str:
    """Return the name of a table or keyspace as the server's catalogue spells it."""
    if _QUOTED.fullmatch(name):
        return name[1:-1].replace('""', '"')
    return name.lower()


def table_name(table: Table) -> str:
    """Return ``keyspace.table``, or the table alone where it has no keyspace."""
    name = object_name(table.name)
    return f"{object_name(table.keyspace)}.{name}" if table.keyspace else name


def literal(value: Any) -> str:
    """Return a table option's value as CQL text: text quoted, maps and lists entry by entry, others as they print."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(key)}: {literal(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(literal, value)) + "]"
    return str(value)
