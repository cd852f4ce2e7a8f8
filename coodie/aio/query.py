"""
QuerySet of the aio face: the builders of ``coodie.builders`` and the terminals that run them.

Rules that live here: a QuerySet keeps no rows; iterating reads page by page.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Mapping
from functools import partial
from typing import Any, NoReturn, TypeVar

from coodie import connections
from coodie.builders import D, QueryBuilder
from coodie.counter_rules import refuse
from coodie.plans import aggregates, bulk, queries
from coodie.query import EVERYTHING, Query
from coodie.results import LWTResult, PagedResult
from coodie.run import arun
from coodie.statement import Rows, Statement
from coodie.synced import checked_on

T = TypeVar("T")


class QuerySet(QueryBuilder[D]):
    """The rows of a model that match some lookups; nothing is read before a terminal method is awaited."""

    def __init__(self, model: type[D], query: Query = EVERYTHING) -> None:
        super().__init__(model, query)

    def values_list(self, *columns: str) -> QuerySet[tuple[Any, ...]]:
        """Read rows as tuples of these columns (none named: of those chosen before, else of all)."""
        return self._tuples(columns)  # type: ignore[no-any-return]  # the same builders over other rows

    def select_token(self, *columns: str) -> QuerySet[tuple[Any, ...]]:
        """Read rows as tuples of what ``values_list`` names, then the token of the partition key, here named whole."""
        return self._tokens(columns)  # type: ignore[no-any-return]  # the same builders over other rows

    async def all(self) -> list[D]:
        """Return every row: documents, or tuples after ``values_list``."""
        return await self._rows(queries.every)

    async def first(self) -> D | None:
        """Return the first row, or None."""
        row: D | None = await self._rows(queries.first)
        return row

    async def paged_all(self) -> PagedResult[D]:
        """Return one page of ``fetch_size`` rows (else 5,000), and the state that ``page()`` takes to continue."""
        return await self._rows(queries.page)

    async def json(self) -> list[str]:
        """Return every row as the text of a JSON object, in the encoding that ``save_json`` uses."""
        return await self._rows(queries.json)

    async def count(self) -> int:
        """Return the number of rows, counted by the database, at most the limit."""
        return await self._answer(queries.count)

    async def sum(self, column: str) -> Any:
        """Return the sum of a column, 0 without rows: of integers exact, of any size."""
        return await self._answer(aggregates.single, "sum", column)

    async def avg(self, column: str) -> Any:
        """Return the average of a column, None without values: a float, of decimals a Decimal."""
        return await self._answer(aggregates.single, "avg", column)

    async def min(self, column: str) -> Any:
        """Return the least value of a column, or None."""
        return await self._answer(aggregates.single, "min", column)

    async def max(self, column: str) -> Any:
        """Return the greatest value of a column, or None."""
        return await self._answer(aggregates.single, "max", column)

    async def aggregate(self, /, **calls: str) -> dict[str, Any]:
        """Return several aggregates by name, e.g. ``total="sum(views)", rows="count(*)"``, read at once."""
        return await self._answer(aggregates.aggregate, calls)

    async def writetime(self, column: str) -> int | None:
        """Return when a column of the first row was written, in us since 1970; None without a row or value."""
        return await self._answer(aggregates.first_cell, "writetime", column)

    async def column_ttl(self, column: str) -> int | None:
        """Return the seconds after which a column of the first row expires; None where it does not."""
        return await self._answer(aggregates.first_cell, "ttl", column)

    async def create(self, /, **fields: Any) -> LWTResult | None:
        """Write a new document, over an existing row of its key; after ``if_not_exists()`` tell whether it was new."""
        if self._model.__coodie_counters__:
            refuse("save")
        return await self._answer(partial(bulk.create, self._model(**fields)))

    async def update(
        self, /, ttl: int | None = None, if_conditions: Mapping[str, Any] | None = None, **changes: Any
    ) -> LWTResult | None:
        """
        Change columns of the rows whose whole keys are named, as ``Document.update`` does; LWTResult with a condition.

        ``ttl`` (s) beats the chained one. Of one row of counters: add with ``__add``, subtract with ``__remove``.
        Raises as ``Document.update`` does, before anything is sent.
        """
        if not self._model.__coodie_counters__:
            return await self._answer(
                partial(bulk.update, self._model, changes=changes, ttl=ttl, if_conditions=if_conditions)
            )
        document, deltas = bulk.increment(self._model, self._query, changes, ttl, if_conditions)
        if deltas:
            await document.increment(**deltas)
        return None

    async def delete(self, if_conditions: Mapping[str, Any] | None = None) -> LWTResult | None:
        """Delete the rows named by their partition and a prefix of their clustering columns, or by a range there."""
        self._model._about_to_delete()
        return await self._answer(partial(bulk.delete, if_conditions=if_conditions))

    def __bool__(self) -> NoReturn:
        raise TypeError("Whether there are rows takes a round trip: ask `await rows.first() is not None`")

    async def __aiter__(self) -> AsyncIterator[D]:
        page = await self.paged_all()
        while True:
            for row in page.data:
                yield row
            if page.paging_state is None:
                return
            page = await self.page(page.paging_state).paged_all()

    async def _rows(self, plan: Callable[..., Generator[Statement, Rows, T]]) -> T:
        return await self._answer(partial(plan, self._model), self._model._pending_reader())

    async def _answer(self, plan: Callable[..., Generator[Statement, Rows, T]], *arguments: Any) -> T:
        driver, table = connections.resolve(self._model)
        return await arun(checked_on(driver, table, plan(table, self._query, *arguments)), driver)
