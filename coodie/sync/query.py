"""
QuerySet of the sync face: the builders of ``coodie.query`` and the terminals that run them.

Rules that live here: a QuerySet keeps no rows. Iterating reads page by page; ``len()`` is a COUNT, but for ``list()``,
which asks for the length of what it has just begun to iterate: it gets that iteration's own number of rows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, Generic

from coodie import connections
from coodie.counter_rules import refuse
from coodie.plans import documents, queries
from coodie.plans.documents import WriteOptions
from coodie.query import EVERYTHING, D, Query, QueryBuilder
from coodie.results import PagedResult
from coodie.run import run
from coodie.synced import checked_on


class QuerySet(QueryBuilder[D]):
    """The rows of a model that match some lookups; nothing is read before a terminal method is called."""

    def __init__(self, model: type[D], query: Query = EVERYTHING) -> None:
        super().__init__(model, query)
        self._begun: _Iteration[D] | None = None

    def all(self) -> list[D]:
        """Return every document."""
        driver, table = connections.resolve(self._model)
        plan = queries.every(self._model, table, self._query, self._model._pending_reader())
        return run(checked_on(driver, table, plan), driver)

    def first(self) -> D | None:
        """Return the first document, or None."""
        driver, table = connections.resolve(self._model)
        plan = queries.first(self._model, table, self._query, self._model._pending_reader())
        return run(checked_on(driver, table, plan), driver)

    def count(self) -> int:
        """Return the number of rows, counted by the database."""
        driver, table = connections.resolve(self._model)
        plan = queries.count(table, self._query)
        return run(checked_on(driver, table, plan), driver)

    def paged_all(self) -> PagedResult[D]:
        """Return one page of ``fetch_size`` documents (else 5,000), and the state that ``page()`` takes to continue."""
        driver, table = connections.resolve(self._model)
        plan = queries.page(self._model, table, self._query, self._model._pending_reader())
        return run(checked_on(driver, table, plan), driver)

    def create(self, /, **fields: Any) -> None:
        """Write a new document, over an existing row of its key."""
        if self._model.__coodie_counters__:
            refuse("save")
        driver, table = connections.resolve(self._model)
        options = WriteOptions(consistency=self._query.consistency, timeout=self._query.timeout)
        run(documents.save(self._model(**fields), table, options), driver)

    def __iter__(self) -> Iterator[D]:
        self._begun = _Iteration(self)
        return self._begun

    def __len__(self) -> int:
        return self._begun.total() if self._begun is not None else self.count()

    def __bool__(self) -> bool:
        return self.first() is not None


class _Iteration(Generic[D]):
    """One pass over a QuerySet, page by page."""

    def __init__(self, rows: QuerySet[D]) -> None:
        self._rows = rows
        self._documents: deque[D] = deque()
        self._take(rows.paged_all())

    def _take(self, page: PagedResult[D]) -> None:
        self._documents.extend(page.data)
        self._state = page.paging_state

    def total(self) -> int:
        """Read what is left and return how many documents are still to come."""
        while self._state is not None:
            self._take(self._rows.page(self._state).paged_all())
        return len(self._documents)

    def __iter__(self) -> Iterator[D]:
        return self

    def __next__(self) -> D:
        # From its first step on the iteration no longer answers for the QuerySet: len() counts in the database again.
        self._rows._begun = None
        while not self._documents:
            if self._state is None:
                raise StopIteration
            self._take(self._rows.page(self._state).paged_all())
        return self._documents.popleft()
