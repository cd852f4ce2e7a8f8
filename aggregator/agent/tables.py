"""
Which of the agent's own tables a source's table is.

Rules that live here: tables of one name are one table, whichever process counted in it, and their columns add up. One
of another shape, or of a connection the agent does not have, is refused: its rows stay where they are, and one ERROR
says so.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from aggregator.agent.source import Target
from aggregator.binding import merge_shape
from aggregator.keeping import table_of
from coodie.connections import driver_of, qualified
from coodie.exceptions import CoodieError

if TYPE_CHECKING:
    from aggregator.core.buffer import Buffer
    from aggregator.core.held import Held
    from aggregator.journal.records import TableRecord
    from aggregator.journal.replay import Recovered

log = logging.getLogger("aggregator")


class Tables:
    """The tables of the agent's buffer, by what sources call them. On the agent's thread alone."""

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer
        self._targets: dict[int, tuple[TableRecord, Target | None]] = {}  # by id of the record, which is kept for that
        self._held: dict[int, tuple[Target, Held]] = {}

    def target(self, found: Recovered) -> Target | None:
        """Return the target of a worker's table; None: it is refused."""
        record = found.record
        known = self._targets.get(id(record))
        if known is None:
            known = self._targets[id(record)] = record, self._checked(record)
        return known[1]

    def _checked(self, record: TableRecord) -> Target | None:
        target = Target(record.connection, table_of(record))
        try:
            self.held(target)
        except CoodieError as error:
            refusal = "%s is not written for its workers, and stays in their journals: %s"
            log.error(refusal, record.name, error)  # noqa: TRY400 - the text says it all, a traceback nothing
            return None
        return target

    def held(self, target: Target) -> Held:
        """
        Return the agent's table of a target.

        Raises:
            ConfigurationError: it has another shape than the table of this name, or there is no such connection.
            InvalidQueryError: neither it nor the connection names a keyspace.
        """
        known = self._held.get(id(target))
        if known is None:
            table = qualified(driver_of(target.connection), target.table, target.table.name)
            columns = tuple(column.name for column in table.counter_columns)
            with self._buffer.lock:
                held = self._buffer.tables.get((target.connection, table.full_name))
                if held is not None:
                    merge_shape(held, table, "a worker")
                held = self._buffer.table(target.connection, table, columns)
            known = self._held[id(target)] = target, held
        return known[1]
