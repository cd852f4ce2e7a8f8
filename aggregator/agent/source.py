"""
Where the agent's units come from: slots of worker processes, and the intake for programs in other languages.

Rules that live here:

* A source keeps what it accepted, through its own death and the agent's, until the agent has moved it.
* A move: ``take`` shows a portion; the agent writes one record with the new totals of its own rows *and* the portion's
  mark; then ``settle(mark)``. After a crash in between, ``settle`` is called with the same mark again. So each unit is
  in the source or in the agent's slot, whenever either dies.
* A mark says what is so afterwards, in absolute values ("everything up to record 17 is moved"), so that settling twice
  does no harm. It says also whose it is: one that is not this very source's (its folder was made anew) changes nothing.
* Every method is called on the agent's thread, and none may wait: a source that cannot just now says so by None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from coodie.schema import Table

CELLS = 2048
"""(row, column) pairs of one portion at the most: its record must fit into a frame of the log, its move be short."""

LONGEST_MARK = 1 << 18
"""Bytes of a mark at the most."""


@dataclass(frozen=True, slots=True)
class Target:
    """
    A table, as a source names it: by its connection's name, ``default`` for the agent's own.

    ``table.keyspace`` None stands for the keyspace of the agent's connection. ``table.counters`` is ``native`` or
    ``exact``. Two targets of one name are one table of the agent's; their columns add up.
    """

    connection: str
    table: Table


@dataclass(slots=True)
class Portion:
    """
    Some of what a source holds: rows with what they gained, checked as ``increment()`` checks, and the mark.

    ``rows``: (target, key values in key order, {column: delta}). A row may be there twice. The agent moves all of it or
    nothing. What would take a total beyond 64 bits becomes a dead letter of the agent's (``rejected``), so that no row
    holds up another; a target whose shape is not that of the agent's table of this name it refuses (``Agent.claim``).
    """

    rows: list[tuple[Target, tuple[Any, ...], Mapping[str, int]]]
    mark: bytes


class Source(Protocol):
    """One place that units come from; see the module's rules."""

    @property
    def name(self) -> str:
        """What the agent's log knows it by: the same after a restart, no other source's."""

    def take(self, most: int) -> Portion | None:
        """
        Return what is to be moved next, at most ``most`` rows and ``CELLS`` (row, column) pairs.

        None: there is nothing, or not now. A large unit of the source (a request) is taken in parts: the mark says how
        far.

        Until ``settle`` or ``release``, what was taken stays as it is in the source.
        """

    def settle(self, mark: bytes) -> bool:
        """
        Take note, as surely as the durability asks, that a portion is moved; the agent forgets the mark then.

        Returns:
            False: it cannot be noted now; it will be asked again, and nothing is taken from it before.
        """

    def release(self) -> None:
        """Take note that the portion taken last is not moved: it was not recorded, and may be taken again."""
