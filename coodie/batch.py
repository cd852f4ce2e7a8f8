"""
Batches of both faces: writes collected by ``batch=`` and ``add()``, sent as one statement.

Rules that live here:

* A batch runs on the default connection; a document of another one is refused, for it would be written elsewhere.
* It is sent once: whatever becomes of it, it is empty afterwards, so that leaving the block never repeats what
  ``execute()`` has sent. A batch is for one thread, or one task.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Self

from coodie import connections
from coodie.drivers import registry
from coodie.exceptions import InvalidQueryError
from coodie.plans import batches, documents
from coodie.plans.writing import Write
from coodie.results import LWTResult
from coodie.run import arun, run
from coodie.statement import Rows, Statement


class AnyBatch:
    """What a batch collects, on either face."""

    def __init__(self, logged: bool = True, batch_type: str | None = None, timestamp: int | None = None) -> None:
        """
        Open an empty batch.

        ``logged``: all of it is applied, sooner or later, in several partitions too; ``batch_type`` "LOGGED",
        "UNLOGGED" or "COUNTER" beats it. ``timestamp``: of every write, in us since 1970. InvalidQueryError for others.
        """
        self._kind = batches.kind_of(logged, batch_type)
        self._timestamp = batches.timestamp_of(timestamp)
        self._writes: list[Statement] = []
        self.result: LWTResult | None = None
        """What the last run of a batch with a condition answered; None for any other."""

    def add(self, cql: str, params: Sequence[Any] | None = None) -> None:
        """Add a write given as text, its values bound to its ``?``; nothing is sent yet."""
        self._take(batches.text(cql, params))

    def _take(self, statement: Statement) -> None:
        batches.check(statement, self._writes, self._kind, self._timestamp)
        self._writes.append(statement)

    def _clear(self) -> None:
        self._writes, self.result = [], None

    def _sending(self) -> Write:
        """Return the plan that sends what was collected, which is no longer here then."""
        writes = self._writes
        self._clear()
        return batches.send(writes, self._kind, self._timestamp) if writes else documents.nothing()


class BatchQuery(AnyBatch):
    """
    A batch of the sync face: ``with BatchQuery() as batch: document.save(batch=batch)``.

    Entering clears it; leaving runs it, unless an exception passes or it is empty.
    """

    def execute(self) -> LWTResult | None:
        """Send what was collected; LWTResult where a write has a condition. Blocks the thread."""
        self.result = run(self._sending(), connections.driver_of())
        return self.result

    def __enter__(self) -> Self:
        self._clear()
        return self

    def __exit__(self, *raised: object) -> None:
        if raised[0] is None and self._writes:
            self.execute()


class AsyncBatchQuery(AnyBatch):
    """
    A batch of the aio face: ``async with AsyncBatchQuery() as batch: await document.save(batch=batch)``.

    Entering clears it; leaving runs it, unless an exception passes or it is empty.
    """

    async def execute(self) -> LWTResult | None:
        """Send what was collected; LWTResult where a write has a condition. On any event loop."""
        self.result = await arun(self._sending(), connections.driver_of())
        return self.result

    async def __aenter__(self) -> Self:
        self._clear()
        return self

    async def __aexit__(self, *raised: object) -> None:
        if raised[0] is None and self._writes:
            await self.execute()


def into(
    batch: AnyBatch | None, model: type[Any], write: Generator[Statement, Rows, LWTResult | None]
) -> Generator[Statement, Rows, LWTResult | None]:
    """Return a write of a model as it is, or, with a batch, put its statement there and return a plan of nothing."""
    if batch is None:
        return write
    if not isinstance(batch, AnyBatch):
        raise InvalidQueryError(f"batch takes a BatchQuery or AsyncBatchQuery, not {type(batch).__name__}")
    if registry.get_driver(connections.connection_name(model)) is not registry.get_driver():
        raise InvalidQueryError(
            f"{model.__name__} is written through the connection {connections.connection_name(model)!r}, and a batch "
            "runs on the default one: save it without batch=; nothing was sent"
        )
    batch._take(next(write))
    return documents.nothing()
