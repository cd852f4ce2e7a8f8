"""
Prepared statements of one acsylla session, which belongs to one event loop.

Rules that live here:

* Each text is prepared once, however many tasks ask for it at once; a failure is not remembered.
* Values are complete: acsylla sends a missing one as UNSET, which silently skips a counter. It tells nobody how many a
  statement takes, so the placeholders of the text are counted, once.
* Whatever is not idempotent carries the ``fallthrough`` policy and is never marked idempotent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from acsylla import Consistency, create_statement

from coodie.drivers.acsylla.detours import text_of
from coodie.drivers.acsylla.errors import refused_text
from coodie.drivers.acsylla.values import Readers, readers_of, writers_of
from coodie.drivers.refusals import placeholders
from coodie.exceptions import ConfigurationError, InvalidQueryError, NotApplied, Rejected, RowRejected
from coodie.statement import SCHEMA_SHAPES, CounterUpdate, Raw, Statement

Key = tuple[str, bool]
Binder = Callable[[tuple[Any, ...]], Any]
Writers = tuple[tuple[int, Callable[[Any], Any]], ...]
_CACHED_AT_MOST = 5_000  # texts; more means that values were written into them


class Prepared:
    """One prepared statement and what binding values to it needs to know."""

    __slots__ = ("_binder", "_count", "_foreign", "_options", "_read", "_readers", "_writers")

    def __init__(self, foreign: Any, statement: Statement) -> None:
        self._foreign = foreign
        self._count = placeholders(statement.cql)
        self._writers = writers_of(statement.shape)
        self._options: tuple[Any, ...] | None = None
        self._binder: Binder
        self._read: tuple[Any, ...] = ()
        self._readers: Readers

    def readers(self, row: Mapping[str, Any], shape: Any) -> Readers:
        """Return what converts the rows of an answer: that of the last answer, if it had the same columns."""
        read = getattr(shape, "table", None), *row  # a conditional write answers more where it was not applied
        if read != self._read:
            self._read, self._readers = read, readers_of(list(row), shape)
        return self._readers

    def binder(self, statement: Statement) -> Binder:
        """
        Return the function that makes acsylla statements like a template from its values; the last one is kept.

        It raises InvalidQueryError for a wrong number of values, RowRejected for a value that cannot be encoded.
        """
        options = statement.consistency, statement.timeout, statement.fetch_size
        if options != self._options:
            self._options, self._binder = options, self._new_binder(statement)
        return self._binder

    def _new_binder(self, statement: Statement) -> Binder:
        bind, count, writers, text = self._foreign.bind, self._count, self._writers, statement.cql
        policy, consistency, rest = _policy(statement), _consistency_of(statement), _rest(statement)

        def bound(values: tuple[Any, ...]) -> Any:  # written out: the hot loop of a flush
            if len(values) != count:
                raise InvalidQueryError(
                    f"{text!r} takes {count} values and {len(values)} were given; nothing was sent."
                )
            try:
                query = bind(_written(values, writers) if writers else values)
            except InvalidQueryError:
                raise
            except Exception as error:  # the encoders raise TypeError, ValueError, OverflowError, CassException, ...
                raise _refused(values, text, error) from error
            query.set_retry_policy(policy)
            if consistency is not None:
                query.set_consistency(consistency)
            return query if rest is None else rest(query)

        return bound


def plain_query(statement: Statement) -> Any:
    """Return the acsylla statement for a text that takes no values, with policy, consistency, timeout and page size."""
    consistency, rest = _consistency_of(statement), _rest(statement)
    try:
        query = create_statement(statement.cql)
    except UnicodeEncodeError as error:  # its own text would show what surrounds the surrogate
        raise Rejected(
            "Refused, nothing was written: the text holds a lone surrogate.", statement=statement.cql
        ) from error
    query.set_retry_policy(_policy(statement))
    if consistency is not None:
        query.set_consistency(consistency)
    return query if rest is None else rest(query)


def _policy(statement: Statement) -> str:
    """Return the name of the retry policy: whatever may not be sent twice is never re-sent."""
    return "default" if statement.idempotent else "fallthrough"


def _rest(statement: Statement) -> Callable[[Any], Any] | None:
    """Return what sets the options that counter updates of a flush do not have, or None where there are none to set."""
    idempotent, timeout, fetch_size = statement.idempotent, statement.timeout, statement.fetch_size
    if not idempotent and timeout is None and fetch_size is None:
        return None

    def rest(query: Any) -> Any:
        if idempotent:
            query.set_is_idempotent(True)
        if timeout is not None:
            query.set_timeout(max(timeout, 0.001))  # acsylla counts milliseconds, and takes 0 for "wait for ever"
        if fetch_size is not None:
            query.set_page_size(fetch_size)
        return query

    return rest


def _written(values: tuple[Any, ...], writers: Writers) -> list[Any]:
    """Return the values, those converted that acsylla would not understand."""
    changed = list(values)
    for position, writer in writers:
        if changed[position] is not None:
            changed[position] = writer(changed[position])
    return changed


def _refused(values: tuple[Any, ...], text: str, error: Exception) -> RowRejected:
    """Return the error that names the types of the values, never a value."""
    kinds = ", ".join(type(value).__name__ for value in values)
    what = f"a value cannot be encoded ({type(error).__name__}); the values are of types {kinds}"
    return RowRejected(f"Refused, nothing was written: {what}.", statement=text)


class PreparedStatements:
    """The prepared statements of a session, by text. On the session's loop alone."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._ready: dict[Key, Prepared] = {}
        self._under_way: dict[Key, asyncio.Task[Prepared]] = {}

    def ready(self, statement: Statement) -> Prepared | None:
        """Return the prepared statement if there is one."""
        return self._ready.get(_key(statement))

    async def get(self, statement: Statement) -> Prepared:
        """Return the prepared statement, preparing it or waiting for the task that does."""
        key = _key(statement)
        ready = self._ready.get(key)
        if ready is not None:
            return ready
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.create_task(self._prepare(key, text_of(statement), statement))
        return await asyncio.shield(task)  # cancelling one waiter must not cancel them all

    async def check(self, statement: Statement) -> None:
        """
        Prepare a statement anew, after acsylla found no host for it; raises what the server now refuses.

        That is how acsylla reports a table that was dropped after it was prepared.
        """
        if not is_plain(statement):
            self._ready.pop(_key(statement), None)
            with suppress(NotApplied):
                await self.get(statement)

    async def _prepare(self, key: Key, text: str, statement: Statement) -> Prepared:
        """Ask the server to prepare the text of a statement, and keep the answer."""
        try:
            prepared = Prepared(await self._session.create_prepared(text), statement)
        except Exception as error:
            raise refused_text(error, statement) from error
        finally:
            del self._under_way[key]
        if len(self._ready) >= _CACHED_AT_MOST:
            del self._ready[next(iter(self._ready))]
        self._ready[key] = prepared
        return prepared


def _key(statement: Statement) -> Key:
    """Return the key of a statement: a text of the user's has no columns, so it does not share with a shape."""
    return statement.cql, isinstance(statement.shape, Raw)


def is_plain(statement: Statement) -> bool:
    """Return whether a statement is sent as text: schema changes, and texts that take no values."""
    shape = statement.shape
    if isinstance(shape, Raw):
        return not statement.values and not placeholders(shape.text)  # else preparing counts what is missing
    return type(shape) in SCHEMA_SHAPES


def _consistency_of(statement: Statement) -> Any:
    """Return acsylla's consistency level: LOCAL_QUORUM for counters, else the session's own (None)."""
    name = statement.consistency
    if name is None:
        return Consistency.LOCAL_QUORUM if isinstance(statement.shape, CounterUpdate) else None
    try:
        return Consistency[name.upper()]
    except KeyError:
        allowed = ", ".join(level.name for level in Consistency)
        raise ConfigurationError(f"consistency={name!r} is not known; allowed: {allowed}. Nothing was sent.") from None
