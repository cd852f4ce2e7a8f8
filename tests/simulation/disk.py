"""
The journal's disk: slots that outlive the processes, and lose what was not synced when the power goes.

Rules that live here:

* What is appended or stored survives the process that did it. A store of several slots that is cut short by death
  leaves any first part of them.
* After a power loss a log has what was synced and any number of records after it; each page of an array has what was
  synced, what the kernel wrote back meanwhile, or what was stored last. The state array is one page.
* A slot is given out under its lease; the death of a process frees what it leased.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from aggregator.exceptions import JournalError
from tests.simulation.stage import Killed, Stage

PAGE = 2
"""Slots of a page: far below the real 512, so that short histories have pages that are lost apart from each other."""


class Stored(array):  # type: ignore[type-arg]  # array cannot be subscripted before 3.12
    """An int64 array in a mapped file: each store is an operation."""

    stage: Stage

    def __setitem__(self, at: Any, value: Any) -> None:
        if self.stage.is_dead:
            raise Killed
        dies = self.stage.dies_now()
        if not isinstance(at, slice):
            if dies:
                raise Killed
            try:
                super().__setitem__(at, value)
            except OverflowError as error:  # a memoryview says it like this
                raise ValueError(str(error)) from None
            return
        start, end, _step = at.indices(len(self))
        assert end - start == len(value), "a store into a mapped array cannot change its length"
        done = self.stage.random.randint(0, end - start) if dies else end - start
        super().__setitem__(slice(start, start + done), array("q", value[:done]))
        if dies:
            raise Killed


@dataclass
class Content:
    """What the files of a slot hold."""

    log: list[bytes] = field(default_factory=list)
    first_seq: int = 1
    boot: int = 0  # of its writer
    arrays: dict[str, list[int]] = field(default_factory=dict)

    def copy(self) -> Content:
        arrays = {name: list(values) for name, values in self.arrays.items()}
        return replace(self, log=list(self.log), arrays=arrays)


class Slot:
    """One slot: what its files hold now, and what of it would survive the power."""

    def __init__(self, number: int, boot: int) -> None:
        self.number = number
        self.content = Content(boot=boot)
        self.durable = self.content.copy()
        self.live: dict[str, Stored] = {}
        self.owner: object | None = None
        self.fresh: list[Any] = []  # increments accepted since the last sync
        self.reserved: set[tuple[str, int, int]] = set()
        self.changes = 0

    def freeze(self) -> None:
        """Take what the arrays hold from the process that stored it."""
        for name, stored in self.live.items():
            self.content.arrays[name] = stored.tolist()
        self.live = {}

    def now(self) -> Content:
        """Return what the files hold now."""
        found = self.content.copy()
        for name, stored in self.live.items():
            found.arrays[name] = stored.tolist()
        return found


class Disk:
    """The directory of a journal, and the machine it is on."""

    host = "host"

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.slots_made: list[Slot] = []
        self.is_full = False
        self.is_failing = True  # a sync fails now and then
        self.process: object = None  # who runs

    # --- the directory ----------------------------------------------------------------------------------------

    def slots(self) -> list[int]:
        return [slot.number for slot in self.slots_made]

    def lease(self, number: int) -> Lease | None:
        self.stage.operation()
        slot = self.slots_made[number]
        if slot.owner is not None:
            return None
        slot.owner = self.process
        return Lease(slot)

    def free_slot(self) -> Lease:
        for number in self.slots():
            lease = self.lease(number)
            if lease is not None:
                return lease
        self.slots_made.append(Slot(len(self.slots_made), self.stage.boot))
        lease = self.lease(len(self.slots_made) - 1)
        assert lease is not None
        return lease

    def died(self, process: object) -> None:
        """Free what a process leased."""
        for slot in self.slots_made:
            if slot.owner is process:
                slot.freeze()
                slot.owner = None

    # --- the power --------------------------------------------------------------------------------------------

    def write_back(self) -> None:
        """Make some of what was stored durable, as a kernel does in its own time."""
        for slot in self.slots_made:
            slot.durable = self._torn(slot)

    def lose_power(self) -> None:
        """Leave what a power loss leaves. Every process is dead."""
        for slot in self.slots_made:
            assert slot.owner is None
            slot.content = self._torn(slot)
            slot.durable = slot.content.copy()
            slot.changes += 1
        self.stage.boot += 1

    def _torn(self, slot: Slot) -> Content:
        random, durable, now = self.stage.random, slot.durable.copy(), slot.now()
        assert now.first_seq == durable.first_seq  # a log is replaced durably
        durable.log += now.log[len(durable.log) :][: random.randint(0, len(now.log))]
        for name, values in now.arrays.items():
            found = durable.arrays.setdefault(name, [])
            found += [0] * (len(values) - len(found))  # a file that has grown keeps its size
            page = len(values) if name == "state" else PAGE
            for start in range(0, len(values), page):
                if self.stage.chance(0.5):
                    found[start : start + page] = values[start : start + page]
        return durable


class Lease:
    """The right to a slot."""

    def __init__(self, slot: Slot) -> None:
        self.path = slot  # nobody looks below it
        self.slot = slot.number

    def close(self) -> None:
        self.path.freeze()
        self.path.owner = None

    close_in_child = close


class Files:
    """The files of a leased slot: ``aggregator.journal.files.JournalFiles`` on a simulated disk."""

    def __init__(self, disk: Disk, slot: Slot) -> None:
        self._disk = disk
        self._stage = disk.stage
        self._slot = slot
        self._records = list(slot.content.log)
        self._is_broken = False
        self.is_copy = False
        self.is_other_boot = slot.content.boot != disk.stage.boot
        slot.changes += 1

    @property
    def first_seq(self) -> int:
        return self._slot.content.first_seq

    @property
    def log_bytes(self) -> int:
        return 100 * len(self._slot.content.log)

    def records(self) -> list[bytes]:
        records, self._records = self._records, []
        return records

    def _writes(self) -> Content:
        """Begin an operation that needs room on the disk."""
        self._stage.pause()
        self._stage.operation()
        if self._is_broken:
            raise JournalError(5, "a sync failed before")
        if self._disk.is_full:
            raise JournalError(28, "no space left on the simulated disk")
        return self._slot.content

    def append(self, payload: bytes) -> int:
        content = self._writes()
        assert 0 < len(payload) <= 1 << 20
        content.log.append(payload)
        seq = content.first_seq + len(content.log) - 1
        self._stage.operation()
        return seq

    def rewrite(self, payloads: Iterable[bytes]) -> int:
        content = self._writes()
        kept, first_seq = list(payloads), content.first_seq + len(content.log)
        for each in (content, self._slot.durable):
            each.log, each.first_seq, each.boot = list(kept), first_seq, self._stage.boot
        self._stage.operation()
        return first_seq

    def claim(self) -> None:
        self._stage.operation()
        for content in (self._slot.content, self._slot.durable):
            content.boot = self._stage.boot
        self._slot.durable.log = list(self._slot.content.log)
        self._stage.operation()

    def array(self, name: str, slots: int) -> Stored:
        slot = self._slot
        if name not in slot.live:
            if name not in slot.content.arrays:
                self._writes()
                for content in (slot.content, slot.durable):
                    content.arrays[name] = [0] * slots
            slot.live[name] = Stored("q", slot.content.arrays[name])
            slot.live[name].stage = self._stage
        found = slot.live[name]
        if len(found) < slots:
            self._writes()
            found.extend([0] * (slots - len(found)))
        return found

    def reserve(self, name: str, start: int, count: int) -> None:
        assert name in self._slot.live
        if (name, start, count) not in self._slot.reserved:  # else the blocks are there
            self._writes()
            self._slot.reserved.add((name, start, count))

    def sync(self, last: Callable[[], None] = lambda: None) -> None:
        # No pause: what is counted while a sync runs is made sure by the next one, and the books could not tell.
        self._stage.operation()
        if self._is_broken or (self._disk.is_failing and self._stage.chance(0.01)):
            self._is_broken = True
            raise JournalError(5, "the simulated disk cannot sync")
        last()
        self._slot.durable = self._slot.now()
        self._slot.fresh.clear()
        self._stage.operation()

    def close(self) -> None:
        """Nothing is open."""

    close_in_child = close
