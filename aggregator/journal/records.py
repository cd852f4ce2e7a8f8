"""
What the log's records say, and how they are written as bytes.

Rules that live here:

* MessagePack, by msgspec. A table is known by a number; a record of a change says what is so from then on, in absolute
  values (``aggregator.core.ledger.Change``).
* Key values keep their Python type: what MessagePack has stands as it is, anything else as ``[tag, content]``.
* A change larger than a frame is cut into several records, which only a rewriting of the log may hold: there they stand
  or fall together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from ipaddress import ip_address
from itertools import islice
from typing import Any, TypeAlias
from uuid import UUID

import msgspec

from aggregator.core.ledger import Change
from aggregator.core.parked import Entry
from aggregator.core.taken import Fold

Plain: TypeAlias = Any
"""What MessagePack has: None, bool, int of 64 bits, float, str, bytes, lists and maps of them."""

LONGEST = 1 << 20
"""Bytes of one record: the frame's own limit."""

PIECE = 4_096
"""Entries of a large change in one record, to begin with."""


class Kept(msgspec.Struct, array_like=True):
    """Deltas set apart: see ``aggregator.core.parked.Entry``."""

    at: float
    reason: str
    times: int
    positive: dict[str, Plain]
    negative: dict[str, Plain]


class TableRecord(msgspec.Struct, array_like=True, tag="table"):
    """
    A table, told when it is first counted in and when it gains a column.

    ``columns``: (name, CQL type, partition index, clustering index, descending, counter) in the table's order;
    ``arrays``: names of the counter columns, in the order in which their arrays are numbered.
    """

    number: int
    connection: str
    keyspace: str | None
    name: str
    counters: str
    columns: list[tuple[str, str, int | None, int | None, bool, bool]]
    arrays: list[str]


class ChangeRecord(msgspec.Struct, array_like=True, tag="change", omit_defaults=True):
    """A change of one table: see ``aggregator.core.ledger.Change``."""

    table: int
    keys: list[tuple[int, Plain]] = []
    values: list[tuple[int, str, int | None, int]] = []
    bases: dict[int, int] = {}
    late: list[tuple[Plain, dict[str, Plain] | None]] = []
    unknown: list[tuple[Plain, Kept | None]] = []
    rejected: list[tuple[Plain, Kept | None]] = []
    intent: tuple[int, int, int, bytes] | None = None
    forgets: bool | None = None
    writer: str | None = None
    folds: list[tuple[Plain, Fold | None]] = []
    retired: list[str] | None = None


class MoveRecord(msgspec.Struct, array_like=True, tag="move"):
    """
    What an agent moved out of a source: the changes of its own tables, and the mark the source has still to settle.

    Without changes, in a log that was written anew: the mark alone.
    """

    source: str
    mark: bytes
    changes: list[ChangeRecord]


Record: TypeAlias = TableRecord | ChangeRecord | MoveRecord

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Record] = msgspec.msgpack.Decoder(TableRecord | ChangeRecord | MoveRecord)
encode = _encoder.encode


def decode(payload: bytes) -> Record:
    """Return the record of a payload; ``ValueError`` where it is none."""
    try:
        return _decoder.decode(payload)
    except msgspec.MsgspecError as error:
        raise ValueError(f"no record of a journal: {error}") from None


# --- keys -------------------------------------------------------------------------------------------------------

_INT64 = range(-(2**63), 2**64)

_TAGS: dict[type, tuple[str, Callable[[Any], Plain]]] = {
    UUID: ("uuid", lambda value: value.bytes),
    datetime: ("datetime", lambda value: value.isoformat()),
    date: ("date", lambda value: value.isoformat()),
    time: ("time", lambda value: value.isoformat()),
    Decimal: ("decimal", str),
    int: ("int", lambda value: value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)),
    tuple: ("tuple", lambda value: [plain(each) for each in value]),
    frozenset: ("set", lambda value: [plain(each) for each in value]),
}

_READ: dict[str, Callable[[Any], Any]] = {
    "uuid": lambda content: UUID(bytes=content),
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "decimal": Decimal,
    "int": lambda content: int.from_bytes(content, "big", signed=True),
    "ip": ip_address,
    "tuple": lambda content: tuple(value_of(each) for each in content),
    "set": lambda content: frozenset(value_of(each) for each in content),
}


def plain(value: Any) -> Plain:
    """Return a key, or a part of one, in what MessagePack has."""
    kind = type(value)
    if kind in (str, bytes, bool, float) or value is None or (kind is int and value in _INT64):
        return value
    found = _TAGS.get(kind)
    if found is None:
        return ["ip", str(value)]
    return [found[0], found[1](value)]


def value_of(content: Plain) -> Any:
    """Return the key, or the part of one, that :func:`plain` wrote."""
    if type(content) is list:
        tag, inner = content
        return _READ[tag](inner)
    return content


# --- changes ----------------------------------------------------------------------------------------------------


def units_of(row: Mapping[str, Plain]) -> dict[str, int]:
    """Return the units of a row's columns."""
    return {name: value_of(units) for name, units in row.items()}


def _plain(row: Mapping[str, int]) -> dict[str, Plain]:
    # Sums of what is set apart may leave 64 bits, which MessagePack does not.
    return {name: plain(units) for name, units in row.items()}


def kept(entry: Entry | None) -> Kept | None:
    """Return what a record says of an entry."""
    if entry is None:
        return None
    return Kept(entry.at.timestamp(), entry.reason, entry.times, _plain(entry.positive), _plain(entry.negative))


def entry_of(found: Kept, version: int) -> Entry:
    """Return the entry a record tells of."""
    at = datetime.fromtimestamp(found.at, UTC)
    return Entry(
        at, found.reason, version, found.times, version - 1, units_of(found.positive), units_of(found.negative)
    )


def moved(source: str, mark: bytes, changes: Mapping[int, Change]) -> bytes:
    """Return the record of a move as bytes; ``changes`` by the number of their table."""
    return encode(MoveRecord(source, mark, [_record(table, change) for table, change in changes.items()]))


def payloads_of(table: int, change: Change) -> list[bytes]:
    """Return the records of a change as bytes: one, unless it is too large for a frame."""
    whole = encode(_record(table, change))
    size = PIECE
    payloads = [whole]
    while max(map(len, payloads)) > LONGEST:
        payloads = [encode(record) for record in _in_pieces(table, change, size)]
        size //= 4  # a key has 64 KiB at the most, so a few of them always fit
    return payloads


def _in_pieces(table: int, change: Change, size: int) -> Iterator[ChangeRecord]:
    yield _record(
        table, Change(forgets=change.forgets, writer=change.writer, intent=change.intent, retired=change.retired)
    )
    late, unknown, rejected = _entries(change)
    for some in _pieces(_keys(change.keys), size):
        yield ChangeRecord(table, keys=some)
    for some in _pieces(change.values, size):
        yield ChangeRecord(table, values=some)
    for some in _pieces(change.bases.items(), size):
        yield ChangeRecord(table, bases=dict(some))
    for some in _pieces(late, size):
        yield ChangeRecord(table, late=some)
    for some in _pieces(unknown, size):
        yield ChangeRecord(table, unknown=some)
    for some in _pieces(rejected, size):
        yield ChangeRecord(table, rejected=some)
    for some in _pieces(_folds(change), size):
        yield ChangeRecord(table, folds=some)


def _record(table: int, change: Change) -> ChangeRecord:
    late, unknown, rejected = _entries(change)
    return ChangeRecord(
        table,
        list(_keys(change.keys)),
        change.values,
        change.bases,
        late,
        unknown,
        rejected,
        change.intent,
        change.forgets or None,
        change.writer,
        list(_folds(change)),
        change.retired,
    )


def _keys(keys: Mapping[int, Any]) -> Iterator[tuple[int, Plain]]:
    return ((slot, None if key is None else plain(key)) for slot, key in keys.items())


def _folds(change: Change) -> Iterator[tuple[Plain, Fold | None]]:
    return ((plain(key), fold) for key, fold in change.folds.items())


def _entries(change: Change) -> tuple[list[Any], list[Any], list[Any]]:
    late = [(plain(key), None if row is None else _plain(row)) for key, row in change.late.items()]
    unknown = [(plain(key), kept(entry)) for key, entry in change.unknown.items()]
    rejected = [(plain(key), kept(entry)) for key, entry in change.rejected.items()]
    return late, unknown, rejected


def _pieces(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while some := list(islice(iterator, size)):
        yield some
