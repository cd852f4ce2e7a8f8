"""
Collections as JSON text, and the changes an UPDATE makes inside one.

Rules that live here:

* list and tuple are JSON arrays; set is an array sorted by the JSON of its elements; map an array of ``[key, value]``
  pairs sorted by the JSON of the key, whatever the type of the key. So equal collections have equal text.
* Elements are stored as a column of their type would be, blobs as hexadecimal text; a number that is not finite is
  refused, JSON has none.
* An empty collection that is not frozen is NULL, as it is for Cassandra.
* :func:`change` is the SQL function ``coodie_change``: it works on stored JSON alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from functools import cache
from typing import Any

import msgspec

from coodie.drivers.sqlite.values import Storage, scalar

Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Element:
    """How a value inside a collection becomes plain JSON data, and back."""

    pack: Convert
    unpack: Convert


def parsed(cql_type: str) -> tuple[str, tuple[str, ...]]:
    """Return the name of a type and its arguments: ``map<text, list<int>>`` is ``("map", ("text", "list<int>"))``."""
    text = cql_type.strip()
    if not text.endswith(">"):
        return text.lower(), ()
    name, _, inside = text[:-1].partition("<")
    arguments, depth, start = [], 0, 0
    for position, letter in enumerate(inside):
        depth += (letter == "<") - (letter == ">")
        if letter == "," and depth == 0:
            arguments.append(inside[start:position].strip())
            start = position + 1
    return name.strip().lower(), (*arguments, inside[start:].strip())


def unfrozen(cql_type: str) -> tuple[str, tuple[str, ...]]:
    """Return the name and the arguments of a type, ``frozen<...>`` taken off."""
    name, arguments = parsed(cql_type)
    return unfrozen(arguments[0]) if name == "frozen" else (name, arguments)


@cache
def storage(cql_type: str) -> Storage:
    """Return how a type is stored; InvalidQueryError where SQLite cannot hold it."""
    name, _ = unfrozen(cql_type)
    if name not in _COLLECTIONS:
        return scalar(name if name != "vector" else cql_type)
    inner, frozen = element(cql_type), parsed(cql_type)[0] == "frozen"

    def encode_collection(value: Any) -> str | None:
        packed = inner.pack(value)
        return dumped(packed) if packed or frozen or name == "tuple" else None

    return Storage("TEXT", encode_collection, lambda text: inner.unpack(msgspec.json.decode(text)))


@cache
def element(cql_type: str) -> Element:
    """Return how a type is stored inside a collection."""
    name, arguments = unfrozen(cql_type)
    build = _COLLECTIONS.get(name)
    if build is None:
        return _scalar_element(name)
    inner = [element(argument) for argument in arguments]
    if name in ("set", "map") and arguments[0] == "decimal":
        inner[0] = Element(lambda value: _shortest(scalar("decimal").encode(value)), Decimal)
    return build(inner)


def dumped(packed: Any) -> str:
    """Return plain JSON data as text."""
    return msgspec.json.encode(packed).decode()


def _scalar_element(name: str) -> Element:
    how = scalar(name)
    decode = how.decode or (lambda stored: stored)
    if how.sql_type == "BLOB":
        return Element(lambda value: how.encode(value).hex(), bytes.fromhex)
    if how.sql_type == "REAL":
        return Element(lambda value: _finite(how.encode(value)), lambda stored: decode(float(stored)))
    return Element(how.encode, decode)


def _shortest(number: str) -> str:
    """Return a decimal without trailing zeros: 1.0 and 1.00 are one element of a set."""
    given = Decimal(number)
    exactly = Context(prec=len(given.as_tuple().digits), Emin=MIN_EMIN, Emax=MAX_EMAX)
    return str(given.normalize(exactly))


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError("takes finite numbers inside a collection")
    return number


def _checked(value: Any, *allowed: type[Any]) -> Any:
    if not isinstance(value, allowed):
        raise TypeError(f"takes {' or '.join(kind.__name__ for kind in allowed)}, not {type(value).__name__}")
    return value


def _each(inner: Element, values: Any) -> list[Any]:
    if any(value is None for value in values):
        raise ValueError("takes no None inside a collection")
    return [inner.pack(value) for value in values]


def _list(inner: Sequence[Element]) -> Element:
    (item,) = inner
    return Element(
        lambda value: _each(item, _checked(value, list, tuple)), lambda stored: [item.unpack(one) for one in stored]
    )


def _set(inner: Sequence[Element]) -> Element:
    (item,) = inner
    return Element(
        lambda value: _united(_each(item, _checked(value, set, frozenset))),
        lambda stored: {_hashable(item.unpack(one)) for one in stored},
    )


def _map(inner: Sequence[Element]) -> Element:
    key, item = inner

    def pack(value: Any) -> list[Any]:
        _checked(value, dict)
        return _merged([list(pair) for pair in zip(_each(key, value), _each(item, value.values()), strict=True)])

    return Element(pack, lambda stored: {_hashable(key.unpack(k)): item.unpack(v) for k, v in stored})


def _tuple(inner: Sequence[Element]) -> Element:
    def pack(value: Any) -> list[Any]:
        if len(_checked(value, tuple, list)) != len(inner):
            raise ValueError(f"takes tuples of {len(inner)}")
        return [None if one is None else item.pack(one) for item, one in zip(inner, value, strict=True)]

    def unpack(stored: list[Any]) -> tuple[Any, ...]:
        return tuple(None if one is None else item.unpack(one) for item, one in zip(inner, stored, strict=True))

    return Element(pack, unpack)


_COLLECTIONS: dict[str, Callable[[Sequence[Element]], Element]] = {
    "list": _list,
    "set": _set,
    "map": _map,
    "tuple": _tuple,
}


def _hashable(value: Any) -> Any:
    """Return a value that can be an element of a set or the key of a dict."""
    if isinstance(value, list):
        return tuple(_hashable(one) for one in value)
    return frozenset(value) if isinstance(value, set) else value


def _united(items: list[Any]) -> list[Any]:
    """Return distinct items in the stored order of a set."""
    by_text = {dumped(item): item for item in items}
    return [by_text[text] for text in sorted(by_text)]


def _merged(pairs: list[Any]) -> list[Any]:
    """Return pairs in the stored order of a map; of two with the same key the later one stays."""
    by_text = {dumped(pair[0]): pair for pair in pairs}
    return [by_text[text] for text in sorted(by_text)]


def change(kind: str, operation: str, stored: str | None, *operands: str) -> str | None:
    """
    Return the JSON of a collection after one change, None where nothing is left: the SQL function ``coodie_change``.

    ``kind`` is list, set or map; ``operation`` append, prepend, remove, put or discard; each operand is JSON text.
    Raises IndexError for a position that the list does not have.
    """
    held = msgspec.json.decode(stored) if stored else []
    changed = _CHANGES[kind, operation](held, *(msgspec.json.decode(operand or "[]") for operand in operands))
    return dumped(changed) if changed else None


def _without(held: list[Any], gone: list[Any]) -> list[Any]:
    return [item for item in held if item not in gone]


def _without_keys(held: list[Any], keys: list[Any]) -> list[Any]:
    return [pair for pair in held if pair[0] not in keys]


def _placed(held: list[Any], position: int, item: Any) -> list[Any]:
    held[_checked_place(held, position)] = item
    return held


def _dropped(held: list[Any], position: int) -> list[Any]:
    del held[_checked_place(held, position)]
    return held


def _checked_place(held: list[Any], position: int) -> int:
    """Return a position that the list has: counted from its beginning, never from its end."""
    if not 0 <= position < len(held):
        raise IndexError(position)
    return position


_CHANGES: dict[tuple[str, str], Callable[..., list[Any]]] = {
    ("list", "append"): lambda held, more: held + more,
    ("list", "prepend"): lambda held, more: more + held,
    ("list", "remove"): _without,
    ("list", "put"): _placed,
    ("list", "discard"): _dropped,
    ("set", "append"): lambda held, more: _united(held + more),
    ("set", "remove"): _without,
    ("set", "discard"): lambda held, item: _without(held, [item]),
    ("map", "append"): lambda held, more: _merged(held + more),
    ("map", "remove"): _without_keys,
    ("map", "put"): lambda held, key, item: _merged([*held, [key, item]]),
    ("map", "discard"): lambda held, key: _without_keys(held, [key]),
}
