"""
QuerySet of the sync face: the builders of ``coodie.builders`` and the terminals that run them.

Rules that live here: a QuerySet keeps no rows. Iterating reads page by page; ``len()`` is a COUNT, but for ``list()``,
which asks for the length of what it has just begun to iterate: it gets that iteration's own number of rows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from functools import partial
from typing import Any, Generic, TypeVar

from coodie import connections
from coodie.builders import D, QueryBuilder
from coodie.counter_rules import refuse
from coodie.plans import aggregates, bulk, queries
from coodie.query import EVERYTHING, Query
from coodie.results import LWTResult, PagedResult
from coodie.run import run
from coodie.statement import Rows, Statement
from coodie.synced import checked_on

T = TypeVar("T")


class QuerySet(QueryBuilder[D]):
    """The rows of a model that match some lookups; nothing is read before a terminal method is called."""

    def __init__(self, model: type[D], query: Query = EVERYTHING) -> None:
        super().__init__(model, query)
        self._begun: _Iteration[D] | None = None

    def values_list(self, *columns: str) -> QuerySet[tuple[Any, ...]]:
        """Read rows as tuples of these columns (none named: of those chosen before, else of all)."""
        return self._tuples(columns)  # type: ignore[no-any-return]  # the same builders over other rows

    def select_token(self, *columns: str) -> QuerySet[tuple[Any, ...]]:
        """Read rows as tuples of what ``values_list`` names, then the token of the partition key, here named whole."""
        return self._tokens(columns)  # type: ignore[no-any-return]  # the same builders over other rows

    def all(self) -> list[D]:
        """Return every row: documents, or tuples after ``values_list``."""
        return self._rows(queries.every)

    def first(self) -> D | None:
        """Return the first row, or None."""
        row: D | None = self._rows(queries.first)
        return row

    def paged_all(self) -> PagedResult[D]:
        """Return one page of ``fetch_size`` rows (else 5,000), and the state that ``page()`` takes to continue."""
        return self._rows(queries.page)

    def json(self) -> list[str]:
        """Return every row as the text of a JSON object, in the encoding that ``save_json`` uses."""
        return self._rows(queries.json)

    def count(self) -> int:
        """Return the number of rows, counted by the database, at most the limit."""
        return self._answer(queries.count)

    def sum(self, column: str) -> Any:
        """Return the sum of a column, 0 without rows: of integers exact, of any size."""
        return self._answer(aggregates.single, "sum", column)

    def avg(self, column: str) -> Any:
        """Return the average of a column, None without values: a float, of decimals a Decimal."""
        return self._answer(aggregates.single, "avg", column)

    def min(self, column: str) -> Any:
        """Return the least value of a column, or None."""
        return self._answer(aggregates.single, "min", column)

    def max(self, column: str) -> Any:
        """Return the greatest value of a column, or None."""
        return self._answer(aggregates.single, "max", column)

    def aggregate(self, /, **calls: str) -> dict[str, Any]:
        """Return several aggregates by name, e.g. ``total="sum(views)", rows="count(*)"``, read at once."""
        return self._answer(aggregates.aggregate, calls)

    def writetime(self, column: str) -> int | None:
        """Return when a column of the first row was written, in us since 1970; None without a row or value."""
        return self._answer(aggregates.first_cell, "writetime", column)

    def column_ttl(self, column: str) -> int | None:
        """Return the seconds after which a column of the first row expires; None where it does not."""
        return self._answer(aggregates.first_cell, "ttl", column)

    def create(self, /, **fields: Any) -> LWTResult | None:
        """Write a new document, over an existing row of its key; after ``if_not_exists()`` tell whether it was new."""
        if self._model.__coodie_counters__:
            refuse("save")
        return self._answer(partial(bulk.create, self._model(**fields)))

    def update(
        self, /, ttl: int | None = None, if_conditions: Mapping[str, Any] | None = None, **changes: Any
    ) -> LWTResult | None:
        """
        Change columns of the rows whose whole keys are named, as ``Document.update`` does; LWTResult with a condition.

        ``ttl`` (s) beats the chained one. Of one row of counters: add with ``__add``, subtract with ``__remove``.
        Raises as ``Document.update`` does, before anything is sent.
        """
        if not self._model.__coodie_counters__:
            return self._answer(
                partial(bulk.update, self._model, changes=changes, ttl=ttl, if_conditions=if_conditions)
            )
        document, deltas = bulk.increment(self._model, self._query, changes, ttl, if_conditions)
        if deltas:
            document.increment(**deltas)
        return None

    def delete(self, if_conditions: Mapping[str, Any] | None = None) -> LWTResult | None:
        """Delete the rows named by their partition and a prefix of their clustering columns, or by a range there."""
        self._model._about_to_delete()
        return self._answer(partial(bulk.delete, if_conditions=if_conditions))

    def __iter__(self) -> Iterator[D]:
        self._begun = _Iteration(self)
        return self._begun

    def __len__(self) -> int:
        return self._begun.total() if self._begun is not None else self.count()

    def __bool__(self) -> bool:
        return self.first() is not None

    def _rows(self, plan: Callable[..., Generator[Statement, Rows, T]]) -> T:
        return self._answer(partial(plan, self._model), self._model._pending_reader())

    def _answer(self, plan: Callable[..., Generator[Statement, Rows, T]], *arguments: Any) -> T:
        driver, table = connections.resolve(self._model)
        return run(checked_on(driver, table, plan(table, self._query, *arguments)), driver)


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
