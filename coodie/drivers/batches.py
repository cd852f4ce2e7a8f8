"""
Rows of one template put together into unlogged batches, for the drivers that speak CQL.

Rules that live here:

* Only what its template allows (``Statement.together``) shares a batch: such writes may be sent twice, so one answer
  for all of them is enough.
* A batch is a statement like any other: its text, ``BEGIN UNLOGGED BATCH INSERT ..; INSERT ..; APPLY BATCH``, is
  prepared once for each number of rows and bound at once. That costs both clients less than batch objects of their own
  (cassandra-driver: a third less processor time a row), and they route it by a key in it as they do any statement.
* No more rows than partitions are allowed: more rows of one partition would be more texts for the server to keep.
* What Cassandra would warn of in its log, batches above 5 KiB, is not made; sizes are estimated from the values.
* A batch that is refused for a row's sake is sent again row by row, so that only the bad row is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, groupby, islice
from operator import itemgetter
from typing import Any, TypeAlias

from coodie.drivers.protocol import Settle, Work
from coodie.exceptions import RowRejected
from coodie.statement import Batch, Fate, Insert, Outcome, Statement

Values: TypeAlias = tuple[Any, ...]

BYTES_MAX = 5 * 1024
_ROW_BYTES, _VALUE_BYTES = 50, 28  # what Cassandra 5.0 reckons for a row and for each of its cells, text not counted


Parcel: TypeAlias = "tuple[int, Statement, Values, Rows | None]"
"""What is sent as one statement: the index of its first item, template, values; the last names a batch's rows."""


def parcels(work: Work) -> Iterator[Parcel]:
    """
    Yield the work as it is to be sent, in its order, taking no more of it than the next parcel needs.

    What was taken when the work raises is yielded first.
    """
    index = 0
    known: dict[int, Rows] = {}
    for template, items in groupby(work, key=_template):
        if template.together <= 1 or not isinstance(template.shape, Insert):
            for _, values in items:
                yield index, template, values, None
                index += 1
            continue
        put_together = known.setdefault(id(template), Rows(template, template.shape))
        for rows in _handfuls(map(_values, items), template.together):
            yield from put_together.made(index, rows)
            index += len(rows)


def _handfuls(items: Iterator[Values], size: int) -> Iterator[list[Values]]:
    """Yield lists of so many items, the last one shorter; raise what the iterator raised after what came before it."""
    while True:
        rows: list[Values] = []
        failure: BaseException | None = None
        try:
            rows.extend(islice(items, size))
        except BaseException as error:  # raised below: what came first is owed an outcome
            failure = error
        if rows:
            yield rows
        if failure is not None:
            raise failure
        if len(rows) < size:
            return


_template, _values = itemgetter(0), itemgetter(1)


def settle_parcel(settle: Settle, parcel: Parcel, outcome: Outcome) -> list[Parcel]:
    """Tell the fate of a parcel's items; or tell nothing and return its rows, to be sent again one by one."""
    index, _, values, rows = parcel
    if rows is None:
        settle(index, outcome)
        return []
    if outcome.fate is Fate.REJECTED and isinstance(outcome.error, RowRejected):
        return list(rows.singly(index, rows.of(values)))
    settle(index, outcome, rows.count(values))
    return []


class Rows:
    """The rows of one template: how they are put together and taken apart."""

    def __init__(self, template: Statement, shape: Insert) -> None:
        columns = [shape.table.by_name.get(name) for name in shape.columns]
        self._template = template
        self._shape = shape
        self._width = len(columns) + shape.ttl + shape.timestamp
        self._fixed = _ROW_BYTES + _VALUE_BYTES * self._width
        self._texts = [at for at, column in enumerate(columns) if column is None or column.cql_type not in _SHORT]
        self._batches: dict[int, Statement] = {}

    def made(self, index: int, rows: Sequence[Values]) -> Iterator[Parcel]:
        """Yield the parcels of rows that may share a batch but for its size; singly where one has a wrong width."""
        if not {self._width}.issuperset(map(len, rows)):
            yield from self.singly(index, rows)
            return
        values = tuple(chain.from_iterable(rows))
        if len(rows) > 1 and self._size(values, len(rows)) <= BYTES_MAX:
            yield index, self._batch(len(rows)), values, self
            return
        start, size = 0, 0
        for at, row in enumerate(rows):
            more = self._size(row, 1)
            if size + more > BYTES_MAX and at > start:
                yield self._parcel(index + start, rows[start:at])
                start, size = at, 0
            size += more
        yield self._parcel(index + start, rows[start:])

    def singly(self, index: int, rows: Sequence[Values]) -> Iterator[Parcel]:
        """Return a parcel for each row."""
        return ((index + at, self._template, row, None) for at, row in enumerate(rows))

    def of(self, values: Values) -> list[Values]:
        """Return the rows of a batch's values."""
        return [values[start : start + self._width] for start in range(0, len(values), self._width)]

    def count(self, values: Values) -> int:
        """Return the number of rows of a batch's values."""
        return len(values) // self._width

    def _size(self, values: Values, count: int) -> int:
        """Return about how many bytes rows take in the server's reckoning; rather too many."""
        width = self._width
        return count * self._fixed + sum(_bytes_of(values[position::width]) for position in self._texts)

    def _parcel(self, index: int, rows: Sequence[Values]) -> Parcel:
        if len(rows) == 1:
            return index, self._template, rows[0], None
        return index, self._batch(len(rows)), tuple(chain.from_iterable(rows)), self

    def _batch(self, count: int) -> Statement:
        """Return the template of a batch of so many rows: one object for each number."""
        found = self._batches.get(count)
        if found is None:
            shape = Batch((self._shape,) * count)
            found = self._batches[count] = replace(self._template, shape=shape, together=1)
        return found


_SHORT = frozenset(
    "tinyint smallint int bigint counter float double boolean timestamp date time uuid timeuuid inet".split()
)
"""Types whose values are counted by ``_VALUE_BYTES`` alone."""


def _bytes_of(values: Values) -> int:
    """Return about how many bytes texts, or what stands in their place, take; rather too many."""
    try:
        text = "".join(values)  # in C, as a flush needs it
    except TypeError:
        return sum(len(value) if isinstance(value, bytes) else 4 * len(str(value)) for value in values)
    return len(text) if text.isascii() else 4 * len(text)
