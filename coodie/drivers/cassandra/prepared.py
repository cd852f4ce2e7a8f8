"""
Prepared statements of one session: each text is prepared once, however many threads and loops ask for it at once.

Rules that live here:

* Values are complete: since protocol 4 a missing one would silently become UNSET, which skips a counter.
* A counter update, and whatever else is not idempotent, carries the policy that never re-sends, and is not marked
  idempotent, which keeps speculative execution away from it.
* Blocking calls never run on the client's event-loop thread: preparing there would wait for itself.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from cassandra import ConsistencyLevel
from cassandra.policies import FallthroughRetryPolicy

from coodie.drivers.cassandra.values import Readers, address_text, addresses_of, readers_of
from coodie.exceptions import ConfigurationError, InvalidQueryError, RowRejected
from coodie.statement import CounterUpdate, Statement

Binder = Callable[[tuple[Any, ...]], Any]

NEVER_RESEND = FallthroughRetryPolicy()
_CACHED_AT_MOST = 5_000  # texts; more means that values were written into them


class Prepared:
    """One prepared statement and what binding values to it needs to know."""

    __slots__ = ("_addresses", "_columns", "_foreign", "_kept", "_readers")

    def __init__(self, foreign: Any) -> None:
        self._foreign = foreign
        self._kept: tuple[Any, Binder] | None = None
        self._readers: tuple[Any, Readers] | None = None
        self._columns = foreign.column_metadata or ()
        self._addresses = addresses_of([column.type for column in self._columns])

    def readers(self, names: Sequence[str], types: Sequence[Any], table: Any) -> Readers:
        """Return what converts the rows of an answer: that of the last answer, if it had the same columns."""
        columns = table, names, types  # a text of the user's may be about a table that has changed
        kept = self._readers  # one attribute, read and set at once: threads share a prepared statement
        if kept is None or kept[0] != columns:
            kept = self._readers = columns, readers_of(names, types, table)
        return kept[1]

    def binder(self, statement: Statement, retrying: Any) -> Binder:
        """
        Return the function that makes client statements like a template from its values; the last one is kept.

        It raises InvalidQueryError for a wrong number of values, RowRejected for a value that cannot be encoded.
        ``retrying``: the policy for what may be sent twice, the same at every call.
        """
        options = type(statement.shape), statement.consistency, statement.fetch_size
        kept = self._kept
        if kept is None or kept[0] != options:
            kept = self._kept = options, self._new_binder(statement, retrying)
        return kept[1]

    def _new_binder(self, statement: Statement, retrying: Any) -> Binder:
        bind, count, addresses, text = self._foreign.bind, len(self._columns), self._addresses, statement.cql
        instruct = instructions(statement, retrying)

        def bound(values: tuple[Any, ...]) -> Any:
            if len(values) != count:
                raise InvalidQueryError(
                    f"{text!r} takes {count} values and {len(values)} were given; nothing was sent."
                )
            try:
                return instruct(bind(_written(values, addresses) if addresses else values))
            except Exception as error:  # the encoders raise TypeError, ValueError, OverflowError, struct.error, ...
                raise self._refused(values, text) from error

        return bound

    def _refused(self, values: tuple[Any, ...], text: str) -> RowRejected:
        """Return the error that names the column whose value cannot be encoded, without the value."""
        what = "a value cannot be encoded"
        for column, value in zip(self._columns, values, strict=True):
            try:
                column.type.serialize(value, self._foreign.protocol_version) if value is not None else None
            except Exception:
                kind = column.type.cql_parameterized_type()
                what = f"column {column.name!r} ({kind}) cannot hold this {type(value).__name__}"
                break
        return RowRejected(f"Refused, nothing was written: {what}.", statement=text)


def instructions(statement: Statement, retrying: Any) -> Callable[[Any], Any]:
    """Return the function that gives client statements the policy, consistency and page size of a template."""
    idempotent, fetch_size = statement.idempotent, statement.fetch_size
    policy = retrying if idempotent else NEVER_RESEND
    consistency = _consistency_of(statement)

    def instruct(query: Any) -> Any:
        query.is_idempotent = idempotent
        query.retry_policy = policy
        if consistency is not None:
            query.consistency_level = consistency
        if fetch_size is not None:
            query.fetch_size = fetch_size
        return query

    return instruct


def _written(values: tuple[Any, ...], addresses: tuple[int, ...]) -> tuple[Any, ...]:
    """Return the values with the addresses among them as text."""
    return tuple(address_text(value) if i in addresses else value for i, value in enumerate(values))


def _consistency_of(statement: Statement) -> int | None:
    """Return the client's number of the consistency level: LOCAL_QUORUM for counters, else the profile's own (None)."""
    name = statement.consistency
    if name is None:
        return ConsistencyLevel.LOCAL_QUORUM if isinstance(statement.shape, CounterUpdate) else None
    level: int | None = ConsistencyLevel.name_to_value.get(name.upper())
    if level is None:
        allowed = ", ".join(ConsistencyLevel.name_to_value)
        raise ConfigurationError(f"consistency={name!r} is not known; allowed: {allowed}. Nothing was sent.")
    return level


class PreparedStatements:
    """The prepared statements of a session, by text. From any thread and loop."""

    def __init__(self, prepare: Callable[[Statement], Prepared]) -> None:
        self._prepare = prepare
        self._ready: dict[str, Prepared] = {}
        self._under_way: dict[str, Future[Prepared]] = {}
        self._lock = threading.Lock()

    def ready(self, text: str) -> Prepared | None:
        """Return the statement of a text if it is prepared. Never blocks."""
        return self._ready.get(text)

    def get(self, statement: Statement) -> Prepared:
        """Return the prepared statement, preparing it or waiting for the one who does. Blocks."""
        ready = self._ready.get(statement.cql)
        if ready is not None:
            return ready
        future, first = self._future(statement.cql)
        if first:
            self._fill(statement, future)
        return future.result()

    async def get_async(self, statement: Statement) -> Prepared:
        """Return the prepared statement without blocking the loop."""
        future, first = self._future(statement.cql)
        if first:
            asyncio.get_running_loop().run_in_executor(None, self._fill, statement, future)
        return await asyncio.shield(asyncio.wrap_future(future))  # cancelling one waiter must not cancel them all

    def _future(self, text: str) -> tuple[Future[Prepared], bool]:
        """Return the future of a text, and whether the caller is the one to fill it."""
        with self._lock:
            known = self._under_way.get(text)
            if known is not None:
                return known, False
            future: Future[Prepared] = Future()
            if text in self._ready:
                future.set_result(self._ready[text])
                return future, False
            self._under_way[text] = future
            return future, True

    def _fill(self, statement: Statement, future: Future[Prepared]) -> None:
        """Prepare, and tell everyone who waits; a failure is not remembered."""
        text = statement.cql
        try:
            prepared = self._prepare(statement)
        except BaseException as error:
            with self._lock:
                del self._under_way[text]
            future.set_exception(error)
            return
        with self._lock:
            if len(self._ready) >= _CACHED_AT_MOST:
                del self._ready[next(iter(self._ready))]
            self._ready[text] = prepared
            del self._under_way[text]
        future.set_result(prepared)
