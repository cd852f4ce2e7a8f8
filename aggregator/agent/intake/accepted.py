"""
What was accepted and is not the agent's yet: the intake as one of the agent's sources.

Rules that live here:

* Accepted means: written to the log together with its token, then merged. A repeated token, or one that is older than
  the producer's last, is a duplicate and counts nothing.
* ``take`` closes the open file and hands its rows out, in their order, some at a time. A mark is (epoch, file, rows):
  settling it twice, or after a later one, changes nothing; one of another epoch is not ours and changes nothing.
* Bounded: rows and bytes that wait for the agent. Beyond that, keys already held go on (rows), or nothing does
  (bytes): 503, and the client keeps what it has.
* ``accept`` is called on one thread, the server's; ``take``, ``settle`` and ``release`` on one other, the agent's;
  ``sync`` on any.
"""

from __future__ import annotations

import logging
import secrets
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from aggregator.agent.intake.folder import open_folder
from aggregator.agent.intake.refusal import Refusal
from aggregator.agent.intake.requests import Row, decode, rows_of
from aggregator.agent.intake.segment import Segment
from aggregator.agent.intake.tables import Counted
from aggregator.agent.source import CELLS, Portion, Target
from aggregator.exceptions import JournalError

log = logging.getLogger("aggregator")

ROWS = 100_000
WAITING_BYTES = 256 << 20

_MARK = struct.Struct("<8sQQ")  # epoch, number of the file, rows of it


class Answer(NamedTuple):
    """What the client is told: ``last`` is the last sequence of its producer."""

    accepted: int
    duplicate: bool
    last: int


class Accepted:
    """See the module's rules for who may call what."""

    name = "intake"

    def __init__(
        self,
        journal: str | Path,
        tables: Mapping[str, Counted],
        *,
        rows: int = ROWS,
        waiting_bytes: int = WAITING_BYTES,
        syncs: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """
        Open the log in ``journal``, which must be there; raises ``JournalError`` where that cannot be.

        Args:
            rows: rows that may wait for the agent; beyond it new ones are refused (503).
            waiting_bytes: bytes of the log that may wait; beyond it every request is refused (503).
            syncs: durability="disk": the caller awaits ``sync`` before it answers.
        """
        self.tables = tables
        self.syncs = syncs
        self._rows = rows
        self._waiting_bytes = waiting_bytes
        self._clock = clock
        self._lock = threading.Lock()
        self._syncing = threading.Lock()
        self._lease, found, self._producers = open_folder(Path(journal) / "intake")
        self._closed = deque(found)  # files that nothing is written to any more, oldest first
        self._epoch = found[-1].epoch if found else secrets.token_bytes(8)
        self._open = self._created(found[-1].number + 1 if found else 1)
        self._open.begin(self._producers)
        self._remove_settled()
        self._is_round_over = False

    def _created(self, number: int) -> Segment:
        return Segment.create(self._lease.path, number, self._epoch, self.tables)

    # --- the clients' side ------------------------------------------------------------------------------------

    def accept(self, sender: str, body: bytes) -> Answer:
        """
        Take one request of a sender (who it is, as the server knows it; not what it says).

        Raises :class:`Refusal` (400, 429, 503) with nothing counted.
        """
        request = decode(body)
        producer = f"{sender}/{request.producer}"
        last = self._producers.last(producer)
        if request.sequence <= last:
            return Answer(0, True, last)
        rows = rows_of(request.increments, self.tables, self._open.rows)
        now = self._clock()
        with self._lock:
            self._make_room(rows)
            self._producers.make_room(producer, now)
            try:
                self._open.append(producer, now, body)
            except JournalError as error:
                raise Refusal(503, f"the log cannot be written: {error}", 5) from error
            self._producers.note(producer, request.sequence, now)
            self._open.merge(rows)
        return Answer(len(rows), False, request.sequence)

    def _make_room(self, rows: Sequence[Row]) -> None:
        if self.waiting_rows + len(rows) > self._rows:
            held = self._open.rows
            new = len({(alias, key) for alias, key, _ in rows if key not in held[alias]})
            if new and self.waiting_rows + new > self._rows:
                raise Refusal(503, f"{self._rows:,} rows wait for the agent already, and this request has new ones", 1)
        if self.waiting_bytes > self._waiting_bytes:
            raise Refusal(503, f"{self._waiting_bytes:,} bytes wait for the agent already", 1)

    @property
    def waiting_rows(self) -> int:
        """Rows that are not the agent's yet."""
        return self._open.count + sum(each.count - each.done for each in tuple(self._closed))

    @property
    def waiting_bytes(self) -> int:
        """Bytes of the files that are not the agent's yet."""
        return self._open.bytes + sum(each.bytes for each in tuple(self._closed))

    def sync(self) -> None:
        """Make every request accepted before the call durable; ``JournalError``: final, restart the agent."""
        with self._syncing:
            for each in (*self._closed, self._open):
                each.sync()

    # --- the agent's side -------------------------------------------------------------------------------------

    def take(self, most: int) -> Portion | None:
        """
        Return the next rows that are not settled, and the mark that settles them; None: there are none.

        None also once after the last of a file: what came in meanwhile is for the agent's next round, or one would
        never end.
        """
        if not self._closed and self._open.count and not self._is_round_over:
            try:
                self._exchange()
            except JournalError as error:
                log.warning("the intake cannot begin a new file, so nothing of it is moved: %s", error)
        self._is_round_over = False
        if not self._closed or not self._is_surely_kept(self._closed[0]):
            return None
        first = self._closed[0]
        portion: list[tuple[Target, tuple[Any, ...], Mapping[str, int]]] = []
        end, cells = first.done, 0
        for alias, key, deltas in first.in_order(first.done, most):
            cells += len(deltas)
            if cells > CELLS:
                break
            end += 1
            portion += _described(first.tables[alias], key, deltas)
        return Portion(portion, _MARK.pack(first.epoch, first.number, end))

    def _is_surely_kept(self, segment: Segment) -> bool:
        """
        Return whether a file outlives what the durability names.

        The agent's log must not hold a request whose token power loss takes from ours: it would be sent again.
        """
        try:
            with self._syncing:
                if self.syncs:
                    segment.sync()
        except JournalError as error:
            log.warning("the intake cannot be synced, so nothing of it is moved: %s", error)
            return False
        return True

    def _exchange(self) -> None:
        """Close the open file and begin the next."""
        made = self._created(self._open.number + 1)
        try:
            with self._lock:  # no request may come between the sequences and the first one of the new file
                made.begin(self._producers)
                self._closed.append(self._open)
                self._open = made
        except JournalError:
            made.remove()
            raise

    def settle(self, mark: bytes) -> bool:
        """Let go of what the agent has now; False: it could not be noted, ask again."""
        epoch, number, rows = _MARK.unpack(mark)
        try:
            while self._closed and self._closed[0].epoch == epoch and self._closed[0].number <= number:
                first = self._closed[0]
                if first.number == number and rows < first.count:
                    first.settle(rows, syncs=self.syncs)
                    return True
                first.done = first.count
                self._remove_settled()
                self._is_round_over = not self._closed
        except JournalError as error:
            log.warning("the intake cannot note what was moved, so nothing more of it is: %s", error)
            return False
        return True

    def _remove_settled(self) -> None:
        while self._closed and self._closed[0].done >= self._closed[0].count:
            if self.syncs:
                self.sync()  # the next file holds the sequences now
            with self._syncing:
                self._closed[0].remove()
                self._closed.popleft()

    def release(self) -> None:
        """Nothing: what was taken is still there."""

    def close(self) -> None:
        """Close the files and give the lease back. What was not settled is there at the next start."""
        for each in (*self._closed, self._open):
            each.close()
        self._lease.close()


def _described(
    counted: Counted, key: Any, deltas: Mapping[str, int]
) -> Iterator[tuple[Target, tuple[Any, ...], Mapping[str, int]]]:
    kept = {name: delta for name, delta in deltas.items() if delta}
    if kept:
        yield counted.target, key if len(counted.names) > 1 else (key,), kept
