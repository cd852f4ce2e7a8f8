"""
TextDriverAdapter: a user's own driver, which knows ``execute(text, params, ...)`` only, made fit for statements.

Rules that live here: options that a statement does not set are not passed on, since a test double may not take them;
one that knows nothing of pages answers every row at once. A fan-out runs one statement after the other. Whatever a
user's driver raises leaves a write's fate unknown.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

from coodie.drivers.outcomes import outcome_of, raised_as
from coodie.drivers.protocol import Driver, Settle, Work
from coodie.drivers.waiting import in_thread
from coodie.exceptions import CoodieError, MaybeApplied
from coodie.statement import APPLIED, Rows, Statement

_OPTIONS = ("consistency", "timeout", "fetch_size", "paging_state")
_PAGING = {"fetch_size", "paging_state"}
_NONE_SET = (None,) * len(_OPTIONS)
_values_of_options = attrgetter(*_OPTIONS)


def served(driver: Any) -> Driver:
    """Return a driver that takes statements: the given one, or an adapter over its text face."""
    if callable(getattr(type(driver), "submit", None)):  # of its type: a mock has every attribute one asks it for
        given: Driver = driver
        return given
    return TextDriverAdapter(driver)


class TextDriverAdapter:
    """The statement face of a driver that speaks text. Threading rules are those of the adapted driver."""

    def __init__(self, driver: Any) -> None:
        self.adapted = driver

    @property
    def needs_keyspace(self) -> bool:
        """Whether tables must be qualified by a keyspace."""
        return getattr(self.adapted, "needs_keyspace", True) is not False

    @property
    def _default_keyspace(self) -> str | None:
        keyspace = getattr(self.adapted, "_default_keyspace", None)
        return keyspace if isinstance(keyspace, str) else None

    def submit(self, statement: Statement) -> Rows:
        """Send one statement and return its rows. Blocks the thread."""
        try:
            execute = self.adapted.execute
            items = execute(statement.cql, list(statement.values), **_options(statement, execute))
        except Exception as error:
            raise _ours(error, statement) from error
        return self._rows(items, statement)

    async def submit_async(self, statement: Statement) -> Rows:
        """Send one statement and return its rows; in a thread where the driver has no ``execute_async``."""
        if not hasattr(self.adapted, "execute_async"):
            return await in_thread(self.submit, statement)
        try:
            execute = self.adapted.execute_async
            items = await execute(statement.cql, list(statement.values), **_options(statement, execute))
        except Exception as error:
            raise _ours(error, statement) from error
        return self._rows(items, statement)

    def execute_many(self, work: Work, limit: int, settle: Settle) -> None:
        """Send a stream of statements one by one; see the protocol."""
        for index, (template, values) in enumerate(work):
            outcome = APPLIED
            try:
                self.submit(template.with_values(values))
            except CoodieError as error:
                outcome = outcome_of(error)
            settle(index, outcome)

    def close(self) -> None:
        """Close the adapted driver."""
        if hasattr(self.adapted, "close"):
            self.adapted.close()

    async def close_async(self) -> None:
        """Close the adapted driver without blocking the loop."""
        if hasattr(self.adapted, "close_async"):
            await self.adapted.close_async()
        else:
            await in_thread(self.close)

    def _rows(self, items: Iterable[dict[str, Any]] | None, statement: Statement) -> Rows:
        """Return the rows, with the paging state the driver left behind if a page was asked for."""
        state = getattr(self.adapted, "_last_paging_state", None) if statement.fetch_size is not None else None
        return Rows(list(items or ()), state)


def _options(statement: Statement, execute: Callable[..., Any]) -> dict[str, Any]:
    """Return the options that the statement sets, those of paging only where ``execute`` takes them."""
    values = _values_of_options(statement)
    if values == _NONE_SET:
        return {}
    given = {name: value for name, value in zip(_OPTIONS, values, strict=True) if value is not None}
    if _PAGING & given.keys() and not _takes_pages(execute):
        return {name: value for name, value in given.items() if name not in _PAGING}
    return given


def _takes_pages(execute: Callable[..., Any]) -> bool:
    """Return whether a function takes the options of paging; one that cannot be looked into is taken to."""
    try:
        parameters = inspect.signature(execute).parameters
    except (TypeError, ValueError):
        return True
    return parameters.keys() >= _PAGING or any(each.kind is each.VAR_KEYWORD for each in parameters.values())


def _ours(error: Exception, statement: Statement) -> CoodieError:
    """Return the error to raise: ours as it is, any other as one whose fate is unknown."""
    if isinstance(error, CoodieError):
        return error
    return raised_as(MaybeApplied, error, f"the driver raised {error!r}", statement=statement.cql, host=None)
