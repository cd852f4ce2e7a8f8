"""
The form in which a value that is no key is written.

Rules that live here:

* What a column cannot hold is refused before any round trip, naming the column and its type: another Python type, a
  number out of range, None inside a collection (in a tuple it may stand). What a key may not be is taken here: None,
  NaN, a map, any size.
* One writer is made per column and kept; values of the commonest types pass it with one look at their type.
* Those of a whole row are written out as one function: a loop over different functions takes twice as long.
* Moments are written to the millisecond and floats in 32 bits, as every database of CQL stores them: on SQLite too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from coodie.floats import in_32_bits
from coodie.type_text import collection_of
from coodie.values import INTEGER_BITS, KEY_BYTES_MAX, canonical, refused, wrong_type

if TYPE_CHECKING:
    from coodie.schema import Column

Writer = Callable[[Any], Any]

_FLOAT_MAX = 3.4e38  # beyond this a number may be too large for 32 bits


@lru_cache(maxsize=4096)
def writer_of(column: Column) -> Writer:
    """
    Return what checks a value for a column and gives the form in which it is written; None stays None.

    The writer raises ``InvalidQueryError`` naming the column, never the value. From any thread.
    """
    if column.cql_type in _INTEGERS:
        return _integer(column)
    make = _COLLECTIONS.get(collection_of(column.cql_type)[0], _SCALARS.get(column.cql_type, _other))
    return make(column)


def key_writer_of(column: Column, check: Callable[[Column, Any], Any]) -> Writer:
    """Return the writer of a key column: ``check``, past which values of the commonest types go with one look."""
    if column.cql_type in ("text", "ascii"):
        return lambda value: (
            value
            if type(value) is str and 0 < len(value) <= KEY_BYTES_MAX and value.isascii()
            else check(column, value)
        )
    if column.cql_type == "uuid":
        return lambda value: value if type(value) is UUID else check(column, value)
    return partial(check, column)


def row_writer_of(writers: Mapping[str, Writer]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """
    Return what passes the values under these names through their writers, and gives the tuple of the results.

    It raises what a writer raises, and KeyError for a name without a value. From any thread.
    """
    calls = [f"write_{position}(row[{name!r}])" for position, name in enumerate(writers)]
    named: dict[str, Any] = {f"write_{position}": write for position, write in enumerate(writers.values())}
    write_row: Callable[[Mapping[str, Any]], tuple[Any, ...]]
    write_row = eval(f"lambda row: ({''.join(call + ', ' for call in calls)})", named)  # noqa: S307 - names are quoted
    return write_row


def element_writer(column: Column, cql_type: str, *, hashable: bool = False) -> Writer:
    """Return the writer of what a column's collection holds; ``hashable``: of elements of sets and keys of maps."""
    inner = replace(column, cql_type=cql_type)
    write: Writer = (lambda value: canonical(inner, value)) if hashable else writer_of(inner)

    def present(value: Any) -> Any:
        if value is None:
            raise refused(column, "takes no None inside a collection")
        return write(value)

    return present


def _other(column: Column) -> Writer:
    return lambda value: None if value is None else canonical(column, value)


def _text(column: Column) -> Writer:
    def write(value: Any) -> Any:
        if type(value) is str and value.isascii():
            return value
        return None if value is None else canonical(column, value)

    return write


def _integer(column: Column) -> Writer:
    end = 1 << INTEGER_BITS[column.cql_type]

    def write(value: Any) -> Any:
        if type(value) is int and -end <= value < end:
            return value
        return None if value is None else canonical(column, value)

    return write


def _exactly(kind: type[Any]) -> Callable[[Column], Writer]:
    """Return what makes writers that look no further at a value of exactly this type."""

    def make(column: Column) -> Writer:
        return lambda value: value if value is None or type(value) is kind else canonical(column, value)

    return make


def _moment(column: Column) -> Writer:
    def write(value: Any) -> Any:
        if type(value) is datetime and not value.fold:
            beyond = value.microsecond % 1000
            if value.tzinfo is UTC:
                return value.replace(microsecond=value.microsecond - beyond) if beyond else value
            if value.tzinfo is None:
                return value.replace(microsecond=value.microsecond - beyond, tzinfo=UTC)
        return None if value is None else canonical(column, value)

    return write


def _double(column: Column) -> Writer:
    def write(value: Any) -> Any:
        if type(value) is float:
            return value + 0.0  # as in a key, zero has no sign
        return None if value is None else canonical(column, value)

    return write


def _float(column: Column) -> Writer:
    def write(value: Any) -> Any:
        if type(value) is float:
            try:
                return in_32_bits(value) + 0.0
            except OverflowError:
                return canonical(column, value)  # refuses it by name
        return None if value is None else canonical(column, value)

    return write


def _list(column: Column) -> Writer:
    item = element_writer(column, *collection_of(column.cql_type)[1])

    def write(value: Any) -> Any:
        return None if value is None else [item(each) for each in _expected(column, value, "list", list, tuple)]

    return write


def _set(column: Column) -> Writer:
    item = element_writer(column, *collection_of(column.cql_type)[1], hashable=True)

    def write(value: Any) -> Any:
        return None if value is None else {item(each) for each in _expected(column, value, "set", set, frozenset)}

    return write


def _map(column: Column) -> Writer:
    _, (keys, values) = collection_of(column.cql_type)
    key, item = element_writer(column, keys, hashable=True), element_writer(column, values)

    def write(value: Any) -> Any:
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise wrong_type(column, value, "a map")
        return {key(one): item(other) for one, other in value.items()}

    return write


def _tuple(column: Column) -> Writer:
    items = [writer_of(replace(column, cql_type=cql_type)) for cql_type in collection_of(column.cql_type)[1]]

    def write(value: Any) -> Any:
        if value is None:
            return None
        given = tuple(_expected(column, value, "tuple", tuple, list))
        if len(given) != len(items):
            raise refused(column, f"takes {len(items)} elements, not {len(given)}")
        return tuple(item(each) for item, each in zip(items, given, strict=True))

    return write


def _expected(column: Column, value: Any, name: str, *kinds: type[Any]) -> Iterable[Any]:
    if not isinstance(value, kinds):
        raise wrong_type(column, value, f"a {name}")
    items: Iterable[Any] = value
    return items


_INTEGERS = {name for name, bits in INTEGER_BITS.items() if bits}
_SCALARS: dict[str, Callable[[Column], Writer]] = {
    "text": _text,
    "ascii": _text,
    "boolean": _exactly(bool),
    "blob": _exactly(bytes),
    "uuid": _exactly(UUID),
    "timestamp": _moment,
    "float": _float,
    "double": _double,
}
_COLLECTIONS: dict[str, Callable[[Column], Writer]] = {"list": _list, "set": _set, "map": _map, "tuple": _tuple}
