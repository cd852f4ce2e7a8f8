"""
The tables that clients may count in: a TOML file that gives each an alias, its key and its counters.

Rules that live here:

* A client says an alias and never a name of the database; an alias that is not in the file is refused.
* A key is checked and made canonical as ``increment()`` does it, from the JSON encoding of CQL (uuid, date, timestamp
  as text); a part of it takes at most 1 KiB. Types whose JSON is a number with a point are refused in the file.
* A table is told to the log by its record, so what was accepted keeps its meaning when the file changes.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from aggregator.agent.source import Target
from aggregator.exceptions import ConfigurationError
from aggregator.journal.records import TableRecord
from aggregator.keeping import table_of
from coodie.exceptions import InvalidQueryError
from coodie.json_values import coding
from coodie.types import encoded_size

KEY_PART_BYTES = 1024
ALIASES = 256

_ALIAS = re.compile(r"[a-z][a-z0-9_]{0,47}")
_INTEGERS = ("tinyint", "smallint", "int", "bigint")
_TEXTS = ("text", "ascii")
_OTHERS = "varint boolean uuid timeuuid timestamp date time inet blob decimal"
_KEY_TYPES = (*_TEXTS, *_INTEGERS, *_OTHERS.split())

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,47}\Z")]
Part = str | int | bool
"""A part of a key, as JSON gives it."""


class _Described(msgspec.Struct, forbid_unknown_fields=True):
    """One table of the file."""

    table: Name
    key: Annotated[dict[Name, str], msgspec.Meta(min_length=1, max_length=32)]
    counters: Annotated[list[Name], msgspec.Meta(min_length=1, max_length=64)]
    kind: Literal["native", "exact"] = "native"
    keyspace: Name | None = None
    partition: Annotated[int, msgspec.Meta(ge=1)] = 1


class Counted:
    """A table that is counted in, with what checks its keys. Unchangeable; safe from any thread."""

    def __init__(self, record: TableRecord) -> None:
        table = table_of(record)
        self.record = record
        self.table = table
        self.target = Target(record.connection, table)
        self.columns = frozenset(record.arrays)
        self.names = tuple(column.name for column in table.primary_key)
        self.given: Callable[[dict[str, Part]], Any] = itemgetter(*self.names)  # one bare value, or a tuple
        types = [column.cql_type for column in table.primary_key]
        # Where a part is its own canonical form, a key that was taken before is recognised as it comes.
        forms = tuple(str if each in _TEXTS else int if each in _INTEGERS else None for each in types)
        self.is_text = forms == (str,)
        self.plain = forms if None not in forms else None
        self._checks = [(column, coding(column.cql_type).value) for column in table.primary_key]

    def key(self, given: dict[str, Part]) -> Any:
        """
        Return the canonical key, as the buffer knows keys: one value, or a tuple in key order.

        Raises ``InvalidQueryError`` naming the column, never the value.
        """
        if given.keys() != set(self.names):
            raise InvalidQueryError(
                f"the key is ({', '.join(self.names)}) and not ({', '.join(given)[:200]}); name each, and nothing else"
            )
        key = tuple(self._part(column, value, given[column.name]) for column, value in self._checks)
        return key if len(key) > 1 else key[0]

    def _part(self, column: Any, value: Callable[[Any], Any], given: Part) -> Any:
        if isinstance(given, str) and len(given.encode()) > 2 * KEY_PART_BYTES + 2:  # a blob is written in 2 digits
            raise self._long(column)
        try:
            found = value(given)
        except (TypeError, ValueError, ArithmeticError, LookupError):
            raise InvalidQueryError(
                f"column '{column.name}' ({column.cql_type}) cannot hold this JSON {type(given).__name__}"
            ) from None
        checked = self.table.key_value(column, found)
        if encoded_size(column.cql_type, checked) > KEY_PART_BYTES:
            raise self._long(column)
        return checked

    @staticmethod
    def _long(column: Any) -> InvalidQueryError:
        return InvalidQueryError(f"column '{column.name}' takes at most {KEY_PART_BYTES:,} bytes here")


def read_tables(path: str | Path) -> dict[str, Counted]:
    """
    Return the tables of a file by alias.

    Raises:
        ConfigurationError: the file cannot be read, or says something that is not allowed; names the place.
    """
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the tables file {path} cannot be read: {error}") from error
    if not 1 <= len(content) <= ALIASES:
        raise ConfigurationError(f"the tables file {path} has {len(content)} tables; 1 to {ALIASES} are allowed")
    return {alias: _counted(alias, given, path) for alias, given in content.items()}


def _counted(alias: str, given: Any, path: str | Path) -> Counted:
    if not _ALIAS.fullmatch(alias):
        raise ConfigurationError(f"the alias {alias!r} in {path} is not allowed: a-z, then a-z, 0-9 and _, up to 48")
    try:
        described = msgspec.convert(given, _Described)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"[{alias}] in {path}: {error}") from None
    _check(f"[{alias}] in {path}", described)
    columns: list[tuple[str, str, int | None, int | None, bool, bool]] = []
    for at, (name, cql_type) in enumerate(described.key.items()):
        in_partition = at < described.partition
        place = (at, None) if in_partition else (None, at - described.partition)
        columns.append((name, cql_type, *place, False, False))
    columns += [(name, "counter", None, None, False, True) for name in described.counters]
    return Counted(
        TableRecord(
            0,
            "default",
            described.keyspace,
            described.table,
            described.kind,
            columns,
            described.counters,
        )
    )


def _check(where: str, described: _Described) -> None:
    for name, cql_type in described.key.items():
        if cql_type not in _KEY_TYPES:
            allowed = ", ".join(_KEY_TYPES)
            raise ConfigurationError(f"{where}: key column {name} has the type {cql_type!r}; allowed are {allowed}")
    names = [*described.key, *described.counters]
    if len(set(names)) < len(names):
        raise ConfigurationError(f"{where}: a column is named twice")
    if described.partition > len(described.key):
        raise ConfigurationError(f"{where}: partition = {described.partition}, and the key has {len(described.key)}")
