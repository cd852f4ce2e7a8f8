"""
QuerySet of the aio face: the builders of ``coodie.query`` and the terminals that run them.

Rules that live here: a QuerySet keeps no rows; iterating reads page by page.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from coodie import connections
from coodie.counter_rules import refuse
from coodie.plans import documents, queries
from coodie.plans.documents import WriteOptions
from coodie.query import D, QueryBuilder
from coodie.results import PagedResult
from coodie.run import arun
from coodie.synced import checked_on


class QuerySet(QueryBuilder[D]):
    """The rows of a model that match some lookups; nothing is read before a terminal method is awaited."""

    async def all(self) -> list[D]:
        """Return every document."""
        driver, table = connections.resolve(self._model)
        plan = queries.every(self._model, table, self._query, self._model._pending_reader())
        return await arun(checked_on(driver, table, plan), driver)

    async def first(self) -> D | None:
        """Return the first document, or None."""
        driver, table = connections.resolve(self._model)
        plan = queries.first(self._model, table, self._query, self._model._pending_reader())
        return await arun(checked_on(driver, table, plan), driver)

    async def count(self) -> int:
        """Return the number of rows, counted by the database."""
        driver, table = connections.resolve(self._model)
        plan = queries.count(table, self._query)
        return await arun(checked_on(driver, table, plan), driver)

    async def paged_all(self) -> PagedResult[D]:
        """Return one page of ``fetch_size`` documents (else 5,000), and the state that ``page()`` takes to continue."""
        driver, table = connections.resolve(self._model)
        plan = queries.page(self._model, table, self._query, self._model._pending_reader())
        return await arun(checked_on(driver, table, plan), driver)

    async def create(self, /, **fields: Any) -> None:
        """Write a new document, over an existing row of its key."""
        if self._model.__coodie_counters__:
            refuse("save")
        driver, table = connections.resolve(self._model)
        options = WriteOptions(consistency=self._query.consistency, timeout=self._query.timeout)
        await arun(documents.save(self._model(**fields), table, options), driver)

    async def __aiter__(self) -> AsyncIterator[D]:
        page = await self.paged_all()
        while True:
            for document in page.data:
                yield document
            if page.paging_state is None:
                return
            page = await self.page(page.paging_state).paged_all()
