"""
``Document`` and ``CounterDocument`` of the sync face: every method that reaches the database blocks its thread.

Rules that live here: bodies are one line of plan on the driver the class resolves to; what a call means stands in
``coodie.plans``.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any, Self, overload

from coodie import connections, counters
from coodie.batch import AnyBatch, into
from coodie.counter_rules import CounterRules
from coodie.plans import documents, only, sums
from coodie.plans.counters import checked_delta, key_of
from coodie.plans.counters import increment as plan_increment
from coodie.plans.writing import WriteOptions, options_of
from coodie.query import EVERYTHING
from coodie.results import LWTResult
from coodie.run import run
from coodie.schema import table_of
from coodie.sync.query import QuerySet
from coodie.sync.table import TableMethods
from coodie.synced import checked_on


class Document(TableMethods):
    """A table whose rows are written whole."""

    @classmethod
    def create(cls, /, **fields: Any) -> Self:
        """Make a document, save it and return it."""
        document = cls(**fields)
        document.save()
        return document

    @classmethod
    def find(cls, /, **lookups: Any) -> QuerySet[Self]:
        """Return the QuerySet of rows that match every lookup; nothing is read yet."""
        return QuerySet(cls, EVERYTHING.narrowed(table_of(cls), lookups))

    @classmethod
    def find_one(cls, /, **lookups: Any) -> Self | None:
        """Return the one document that matches, or None; ``MultipleDocumentsFound`` when there are more."""
        driver, table = connections.resolve(cls)
        plan = only.one(cls, table, lookups, cls._pending_reader())
        return run(checked_on(driver, table, plan), driver)

    @classmethod
    def get(cls, /, **lookups: Any) -> Self:
        """Return the one document that matches; ``DocumentNotFound`` or ``MultipleDocumentsFound`` otherwise."""
        driver, table = connections.resolve(cls)
        plan = only.get(cls, table, lookups, cls._pending_reader())
        return run(checked_on(driver, table, plan), driver)

    def save(
        self,
        ttl: int | None = None,
        timestamp: int | None = None,
        consistency: str | None = None,
        timeout: float | None = None,
        batch: AnyBatch | None = None,
    ) -> None:
        """Write every field, over an existing row; ``ttl`` and ``timeout`` in s, ``timestamp`` in us since 1970."""
        driver, table = connections.resolve(type(self))
        options = options_of(ttl, timestamp, consistency, timeout)
        if batch is not None:
            run(into(batch, type(self), documents.save(self, table, options)), driver)
        else:  # a plan of one statement without an answer, written out: the most frequent write
            driver.submit(documents.whole_row(self, table, options))

    @overload
    def insert(
        self,
        ttl: int | None = ...,
        timestamp: int | None = ...,
        consistency: str | None = ...,
        timeout: float | None = ...,
        batch: None = ...,
    ) -> LWTResult: ...

    @overload
    def insert(
        self,
        ttl: int | None = ...,
        timestamp: int | None = ...,
        consistency: str | None = ...,
        timeout: float | None = ...,
        *,
        batch: AnyBatch,
    ) -> None: ...

    def insert(
        self,
        ttl: int | None = None,
        timestamp: int | None = None,
        consistency: str | None = None,
        timeout: float | None = None,
        batch: AnyBatch | None = None,
    ) -> LWTResult | None:
        """Write every field unless a row of the key exists, and tell which it was; None in a batch, which tells it."""
        driver, table = connections.resolve(type(self))
        plan = documents.insert(self, table, options_of(ttl, timestamp, consistency, timeout))
        return run(into(batch, type(self), plan), driver)

    def save_json(
        self,
        ttl: int | None = None,
        timestamp: int | None = None,
        consistency: str | None = None,
        timeout: float | None = None,
    ) -> None:
        """Write every field as one JSON text, over an existing row; see :meth:`save`."""
        driver, table = connections.resolve(type(self))
        run(documents.save_json(self, table, options_of(ttl, timestamp, consistency, timeout)), driver)

    def update(
        self,
        /,
        *,
        if_conditions: Mapping[str, Any] | None = None,
        if_exists: bool = False,
        ttl: int | None = None,
        **changes: Any,
    ) -> LWTResult | None:
        """
        Change columns of the row, given as ``column=value`` or ``column__op=value``; LWTResult with a condition.

        Operations on collections: add, append, update, prepend, remove, put, setindex. Plain values are set on this
        instance too, once applied. ``ttl`` in s. Raises ``InvalidQueryError`` for what a column does not take, and
        pydantic's ``ValidationError`` for what the field or its elements refuse; then nothing was sent.
        """
        driver, table = connections.resolve(type(self))
        plan = documents.update(self, table, changes, if_conditions=if_conditions, if_exists=if_exists, ttl=ttl)
        return run(plan, driver)

    def delete(
        self,
        if_exists: bool = False,
        if_conditions: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
        consistency: str | None = None,
        timeout: float | None = None,
        batch: AnyBatch | None = None,
    ) -> LWTResult | None:
        """Delete the row of this key; LWTResult where there was a condition, None in a batch."""
        self._about_to_delete()
        driver, table = connections.resolve(type(self))
        options = WriteOptions(None, timestamp, consistency, timeout)
        plan = documents.delete(self, table, options, if_exists=if_exists, if_conditions=if_conditions)
        return run(into(batch, type(self), plan), driver)

    def delete_columns(
        self,
        *names: str,
        timestamp: int | None = None,
        consistency: str | None = None,
        timeout: float | None = None,
        batch: AnyBatch | None = None,
        collection_elements: Iterable[tuple[str, Any]] | None = None,
    ) -> None:
        """Set columns of the row null, and take out elements of collections: ``(column, key or position)``; warns."""
        warnings.warn(documents.BYPASSES_MIGRATIONS, UserWarning, stacklevel=2)
        driver, table = connections.resolve(type(self))
        options = WriteOptions(None, timestamp, consistency, timeout)
        plan = documents.delete_columns(self, table, names, options, elements=collection_elements or ())
        run(into(batch, type(self), plan), driver)


class CounterDocument(CounterRules, Document):
    """A table of counters: every field is part of the key or ``Counter()``."""

    def increment(self, /, **deltas: int) -> None:
        """
        Add to counters of this row, named by keyword; the instance's own fields stay as they are.

        With a started Aggregator the deltas are buffered and written later; without, this is one UPDATE. Raises
        ``InvalidQueryError`` for a bad name, delta or key; then nothing was written. From any thread.
        """
        sink = counters.sink
        if sink is None:
            driver, table = connections.resolve(type(self))
            run(checked_on(driver, table, plan_increment(self, table, deltas)), driver)
        else:
            counters.adorn(type(self))
            sink.add(self, deltas)

    def decrement(self, /, **deltas: int) -> None:
        """Subtract from counters of this row; see :meth:`increment`."""
        sink = counters.sink
        if sink is None:
            driver, table = connections.resolve(type(self))
            run(checked_on(driver, table, plan_increment(self, table, deltas, sign=-1)), driver)
        else:
            counters.adorn(type(self))
            sink.add(self, {name: -checked_delta(name, delta) for name, delta in deltas.items()})

    def reset(self) -> None:
        """
        Bring the counters of this row back to 0, on an exact table: adds what is stored with its sign changed.

        Flushes first. What others add meanwhile stays counted. The change is buffered like any increment. Raises
        ``InvalidQueryError`` on a native table, ``ConfigurationError`` without a started Aggregator; then nothing was
        written. From any thread; blocks it.
        """
        self._about_to_reset().flush(type(self))
        driver, table = connections.resolve(type(self))
        stored = run(checked_on(driver, table, sums.totals(table, key_of(self, table), "LOCAL_QUORUM")), driver)
        if stored:
            self.decrement(**stored)
