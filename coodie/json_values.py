"""
Rows and values as JSON in the encoding of CQL: what ``json()`` gives and ``INSERT ... JSON`` takes.

Rules that live here:

* Blobs are ``"0x..."``, moments ``"YYYY-MM-DD HH:MM:SS.mmmZ"`` in UTC, other scalars without a JSON type their text;
  sets and tuples are arrays, the keys of maps text. Sets and maps are sorted, so that equal values have one text.
* Decimals are strings, since Cassandra takes a JSON number as a 64-bit float, which forgets digits; NaN and infinities
  are too.
* A name with capitals is in double quotes of its own, as CQL has it.
* Read back are this encoding and Cassandra's own, which writes decimals as numbers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from coodie.exceptions import InvalidQueryError
from coodie.json_scalars import SCALARS, Coding
from coodie.type_text import collection_of

if TYPE_CHECKING:
    from coodie.schema import Table

_NUMBER = re.compile(r'"?(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"?')


def row_json(table: Table, values: Mapping[str, Any]) -> str:
    """Return columns of a row as one JSON object, in the order given."""
    parts = (
        f"{json.dumps(json_name(name))}: {json_text(table.by_name[name].cql_type, value)}"
        for name, value in values.items()
    )
    return f"{{{', '.join(parts)}}}"


def values_of(table: Table, text: str) -> dict[str, Any]:
    """
    Return the values of a JSON object by column, those it names alone.

    Raises ``InvalidQueryError`` for text that is no object, unknown columns, and values a column cannot hold.
    """
    try:
        given = json.loads(text, parse_float=Decimal)
    except ValueError as error:
        raise InvalidQueryError(f"Not a JSON text: {type(error).__name__}; nothing was written") from None
    if not isinstance(given, dict):
        raise InvalidQueryError(f"A row as JSON is an object, not {type(given).__name__}; nothing was written")
    return {
        _column_named(table, name): _value_of(table, _column_named(table, name), each) for name, each in given.items()
    }


def json_text(cql_type: str, value: Any) -> str:
    """Return a value of a type as JSON."""
    return "null" if value is None else coding(cql_type).text(value)


def json_value(cql_type: str, text: str) -> Any:
    """Return the value of a type that a JSON text holds; ValueError, TypeError or ArithmeticError if it holds none."""
    given = json.loads(text, parse_float=Decimal)
    return None if given is None else coding(cql_type).value(given)


def json_name(name: str) -> str:
    """Return the name of a column as CQL wants it in JSON."""
    return name if name == name.lower() else f'"{name}"'


@lru_cache(maxsize=1024)
def coding(cql_type: str) -> Coding:
    """Return how a CQL type is coded; InvalidQueryError for an unknown one."""
    kind, inner = collection_of(cql_type)
    if inner:
        return _COLLECTIONS[kind](cql_type, *inner)
    if kind not in SCALARS:
        raise InvalidQueryError(f"Type {cql_type} has no JSON encoding here")
    return SCALARS[kind]


def _column_named(table: Table, name: str) -> str:
    """Return the column that a name in JSON means: one without double quotes of its own is taken in lower case."""
    found = name[1:-1] if len(name) > 1 and name[0] == name[-1] == '"' else name.lower()
    if found not in table.by_name:
        raise InvalidQueryError(
            f"Unknown column '{found}' in the JSON of table {table.name}; its columns are: {', '.join(table.by_name)}"
        )
    return found


def _value_of(table: Table, name: str, given: Any) -> Any:
    cql_type = table.by_name[name].cql_type
    try:
        return None if given is None else coding(cql_type).value(given)
    except (TypeError, ValueError, ArithmeticError, LookupError):
        raise InvalidQueryError(
            f"Column '{name}' ({cql_type}) cannot hold this JSON {type(given).__name__}; nothing was written"
        ) from None


def _sequence(kind: Callable[[Iterable[Any]], Any]) -> Callable[[str, str], Coding]:
    def make(cql_type: str, element: str) -> Coding:
        item = coding(element)
        ordered = _sorted_texts if kind is set else list
        return Coding(
            lambda value: f"[{', '.join(ordered(map(item.text, value)))}]",
            lambda given: kind(_hashable(item.value(each), kind is set) for each in _array(given)),
        )

    return make


def _map(cql_type: str, keys: str, values: str) -> Coding:
    key, item = coding(keys), coding(values)
    nested = bool(collection_of(keys)[1])

    def text(value: Mapping[Any, Any]) -> str:
        parts = {_key_text(key.text(one)): item.text(other) for one, other in value.items()}
        return f"{{{', '.join(f'{one}: {parts[one]}' for one in _sorted_texts(parts))}}}"

    def made(given: Any) -> dict[Any, Any]:
        pairs = _object(given).items()
        parsed = ((json.loads(one, parse_float=Decimal) if nested else one, other) for one, other in pairs)
        return {_hashable(key.value(one), True): item.value(other) for one, other in parsed}

    return Coding(text, made)


def _tuple(cql_type: str, *types: str) -> Coding:
    def made(given: Any) -> tuple[Any, ...]:
        pairs = zip(types, _array(given), strict=True)
        return tuple(None if each is None else coding(element).value(each) for element, each in pairs)

    def text(value: Any) -> str:
        return f"[{', '.join(json_text(element, each) for element, each in zip(types, value, strict=True))}]"

    return Coding(text, made)


def _array(given: Any) -> list[Any]:
    if not isinstance(given, list):
        raise TypeError("an array is wanted")
    return given


def _object(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise TypeError("an object is wanted")
    return given


def _sorted_texts(texts: Iterable[str]) -> list[str]:
    """Return JSON texts in one order, whatever order they came in: numbers by size, in keys too."""
    return sorted(texts, key=lambda text: (float(found[1]) if (found := _NUMBER.fullmatch(text)) else 0.0, text))


def _key_text(text: str) -> str:
    """Return the JSON of a key of a map: text, whatever its type."""
    return text if text.startswith('"') else json.dumps(text)


def _hashable(value: Any, wanted: bool) -> Any:
    """Return a value that may stand in a set, or be the key of a dict."""
    if wanted and isinstance(value, list | tuple):
        return tuple(_hashable(each, True) for each in value)
    return frozenset(value) if wanted and isinstance(value, set) else value


_COLLECTIONS: dict[str, Callable[..., Coding]] = {
    "list": _sequence(list),
    "set": _sequence(set),
    "map": _map,
    "tuple": _tuple,
}
