"""
Where a table's rows are kept: the door behind which a journal may stand.

Rules that live here:

* Totals, watermarks and what was sent are int64 arrays that a ledger hands out; whoever changes them just stores.
* Everything that is not such an array (which key has which slot, what is parked, what waits for room) a ledger is told
  as a :class:`Change` *before* it happens. A change says what is so afterwards, in absolute values, so that replaying
  it twice does no harm; :meth:`Ledger.made` says that its part in the arrays has been stored.
* A change that must be kept (an increment is about to be accepted because of it) raises where it cannot be; one that
  tells what happened anyway never does: it is kept later.
* Every method is called under the buffer's lock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from aggregator.core.held import Held
    from aggregator.core.parked import Entry
    from aggregator.core.taken import Fold, Key

Allocate: TypeAlias = Callable[[int], "memoryview[int]"]
"""Gives a zeroed ``memoryview`` of that many int64 slots of plain memory."""


@dataclass(slots=True)
class Arrays:
    """The slots of one column: what was accepted, what is settled, and (native tables in a journal) what was sent."""

    total: memoryview[int]
    settled: memoryview[int]
    sent: memoryview[int] | None = None


@dataclass(slots=True)
class Change:
    """
    What is so from now on in one table, in absolute values; a part that is empty says nothing.

    ``keys``: slot -> key, None where the slot is free. ``values``: (slot, column, total, settled), total None where it
    is left as it is (writers may be adding to it); what was sent becomes what is settled. ``bases``: slot -> how much
    is known of what the database holds (``taken.Base``). ``late``, ``unknown``, ``rejected``: by key, None where there
    is nothing any more. ``forgets``: rows of an exact table were let go, so that a new row may have been stored before.
    ``folds``: by key, the row of a retired writer that was laid under ours, None once the database has it. ``retired``:
    every writer of the table that was given up with all it had written, and may have rows.
    ``intent``: (start of a chunk, mark, index, rows): what is about to be sent of it carries this mark in the database;
    its rows (``taken.packed``) are counted from that index.
    """

    keys: dict[int, Key | None] = field(default_factory=dict)
    values: list[tuple[int, str, int | None, int]] = field(default_factory=list)
    bases: dict[int, int] = field(default_factory=dict)
    late: dict[Key, Mapping[str, int] | None] = field(default_factory=dict)
    unknown: dict[Key, Entry | None] = field(default_factory=dict)
    rejected: dict[Key, Entry | None] = field(default_factory=dict)
    intent: tuple[int, int, int, bytes] | None = None
    forgets: bool = False
    writer: str | None = None  # of an exact table, from now on
    folds: dict[Key, Fold | None] = field(default_factory=dict)
    retired: list[str] | None = None


class Ledger(Protocol):
    """Keep the rows of one table."""

    keeps: bool
    """Whether anything is kept beyond memory: where not, callers need not put changes together."""

    hands_on: bool
    """
    Whether another process, the host's agent, moves what rows hold on to the database.

    Then rows hold deltas, whatever the kind of the table, and ``sent`` and ``settled`` are the agent's to set.
    """

    mark_writer: str
    """Under which name the embedded store notes what it applied."""

    def column(self, name: str) -> Arrays:
        """Return the arrays of a column, zeroed where it is new."""

    def attach(self, held: Held) -> None:
        """Take note of what is kept here: a ledger may write down all of it anew."""

    def expect(self, units: int) -> None:
        """Take note of a large delta, or raise: what is found later and is larger than all of them is damage."""

    def reserve(self, slot: int) -> None:
        """Make sure that storing into a slot cannot fail; raises ``JournalError`` where the disk is full."""

    def tell(self, change: Change) -> None:
        """Keep a change that is about to be relied on; raises ``JournalError`` with nothing kept."""

    def tell_later(self, change: Change) -> None:
        """Keep a change that has happened anyway: now, or as soon as that is possible. Never raises."""

    def made(self) -> None:
        """Take note that the arrays hold what the last change said."""

    def shorten(self) -> None:
        """Write what is kept anew where it has grown: memory, arrays and what was told agree at this instant."""

    def stamp(self, now_us: int) -> int:
        """Return a timestamp in us, the wall clock's or above: later than every one before, across restarts too."""

    def last_stamp(self) -> int:
        """Return the latest timestamp that was given out, 0 before the first."""

    def intend(self) -> None:
        """Make what was stored as sure as the durability asks, before it is sent; raises ``JournalError``."""

    def steady(self) -> AbstractContextManager[None]:
        """Keep watermarks as they are while slots are given other values; ``JournalError`` where that cannot be."""

    def secure(self) -> None:
        """Make what was told as sure as the durability asks, before slots are given other values. Never raises."""

    def old_stamp(self) -> int:
        """Return the latest timestamp of a ledger that was old when it was opened; 0: there was no doubt of it."""

    def new_writer(self) -> str:
        """Return an id for a writer, never used before; the caller tells it."""


class Volatile:
    """A ledger of plain memory."""

    keeps = False
    hands_on = False
    mark_writer = ""

    def __init__(self, capacity: int, allocate: Allocate, new_writer: Callable[[], str] = lambda: "") -> None:
        self.new_writer = new_writer
        self._capacity = capacity
        self._allocate = allocate
        self._stamp = 0

    def column(self, name: str) -> Arrays:
        """Return fresh arrays."""
        return Arrays(self._allocate(self._capacity), self._allocate(self._capacity))

    def attach(self, held: Held) -> None:
        """Do nothing."""

    def expect(self, units: int) -> None:
        """Do nothing."""

    def reserve(self, slot: int) -> None:
        """Do nothing: memory was reserved when it was mapped."""

    def tell(self, change: Change) -> None:
        """Do nothing."""

    def tell_later(self, change: Change) -> None:
        """Do nothing."""

    def made(self) -> None:
        """Do nothing."""

    def shorten(self) -> None:
        """Do nothing."""

    def stamp(self, now_us: int) -> int:
        """Return a timestamp later than every one before."""
        self._stamp = max(self._stamp + 1, now_us)
        return self._stamp

    def last_stamp(self) -> int:
        """Return the latest timestamp."""
        return self._stamp

    def intend(self) -> None:
        """Do nothing."""

    def steady(self) -> AbstractContextManager[None]:
        """Return a context that does nothing: nobody else sets watermarks."""
        return nullcontext()

    def secure(self) -> None:
        """Do nothing."""

    def old_stamp(self) -> int:
        """Return 0: plain memory is never old."""
        return 0


OpenLedger: TypeAlias = Callable[[str, Any, int], Ledger]
"""Opens the ledger of (connection, table) for that many slots."""
