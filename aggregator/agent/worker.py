"""
The slot of one worker, as a source: what its rows gained since the agent moved them last.

Rules that live here:

* ``total`` is the worker's. The agent alone stores ``sent`` (what it has moved into its own slot) and ``settled`` (what
  of that is written), each in absolute values.
* While a portion is out, the agent has the slot's turn, and the words say that a move was begun: the worker gives no
  slot other values, so the row that was read is the row that is settled, also after the agent died in between.
* A worker that died in the middle of such a change left it to its next owner: until then nothing is moved.
* The key of a row is in the log before anything is counted in it. A number without a key is not moved.
* A round looks at each chunk once, or a worker that counts fast would keep the agent from its flush for ever.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from aggregator.agent.columns import Columns
from aggregator.agent.source import CELLS, Portion, Target
from aggregator.agent.tail import Tail
from aggregator.core.taken import CHUNK, Key, Taken, gained
from aggregator.journal.replay import Recovered
from aggregator.journal.state import APPLIED, STATE
from aggregator.journal.turn import ANSWERED, ASKED, BEGUN, DONE, ID, SEEN, TURN, Turn


class Mark(msgspec.Struct, array_like=True):
    """Whose it is, the number of the move, and for each table: slots, and by column what of them is sent."""

    slot: int
    number: int
    tables: dict[int, tuple[list[int], dict[str, list[int]]]]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Mark).decode


class Worker:
    """
    A slot that some process has, had, or will have; see ``aggregator.agent.source.Source``.

    ``target``: gives the Target of a table, None where the agent cannot take it. ``syncs``: with durability "disk".
    """

    def __init__(self, folder: Path, target: Callable[[Recovered], Target | None], *, syncs: bool) -> None:
        self.name = f"{folder.parent.name}/{folder.name}"
        self._target = target
        self._syncs = syncs
        self._columns = Columns(folder)
        self._tail = Tail(folder)
        self._state = self._columns.words(STATE)
        self._words = self._columns.words(TURN)
        self._turn = Turn(folder, self._words)
        self._has_turn = False
        self._asked = 0
        self._todo: deque[tuple[int, int]] = deque()  # table and start of the chunks to be looked at in this round
        self._from = 0  # and where to go on in the first of them
        self._has_missed = False

    # --- a round ----------------------------------------------------------------------------------------------

    def begin_round(self, now_us: int) -> None:
        """Take note of what the worker asks for: what is there from here on is moved and written for it."""
        self._words[SEEN] = now_us
        with self._turn.taken() as is_ours:
            self._asked = self._words[ASKED] if is_ours else 0
        self._from, self._has_missed = 0, False
        self._todo.clear()
        if self._tail.read():
            self._todo += (
                (number, start)
                for number, found, _target in self._tables()
                for start in range(0, self._tail.ends[number], CHUNK)
                if self._is_dirty(number, found, start)
            )
        else:
            self._has_missed = True

    def answer(self) -> None:
        """Tell the worker, after the flush, that what it asked for was tried."""
        if self._asked and not self._todo and not self._has_missed:
            self._words[ANSWERED] = self._asked

    def written(self, unwritten: Callable[[Target], Container[Key]]) -> None:
        """
        Move the watermarks of what was sent and is written; ``unwritten``: the keys of a table that are not.

        Rows in which the two differ are given other values by nobody, so no turn is needed.
        """
        for number, found, target in self._tables():
            left: Container[Key] | None = None
            for column in range(len(found.record.arrays)):
                for start in range(0, self._tail.ends[number], CHUNK):
                    sent = self._columns.chunk(number, column, "sent", start)
                    settled = self._columns.of(number, column, "settled", start)
                    before = settled[start : start + CHUNK].tobytes()
                    if sent == before:
                        continue
                    left = unwritten(target) if left is None else left
                    pairs = zip(memoryview(sent).cast("q"), memoryview(before).cast("q"), strict=True)
                    for slot, (value, was) in enumerate(pairs, start):
                        if value != was and found.keys.get(slot) not in left:
                            settled[slot] = value

    def is_idle(self) -> bool:
        """Return whether all that was counted here is moved and written."""
        return not any(
            self._columns.chunk(number, column, "total", start) != self._columns.chunk(number, column, "settled", start)
            or self._is_dirty(number, found, start)
            for number, found, _target in self._tables()
            for column in range(len(found.record.arrays))
            for start in range(0, self._tail.ends[number], CHUNK)
        )

    # --- moving -----------------------------------------------------------------------------------------------

    def take(self, most: int) -> Portion | None:
        if not self._todo or not self._turn.take():
            self._has_missed = self._has_missed or bool(self._todo)
            self._todo.clear()
            return None
        self._has_turn = True
        try:
            return self._taken(most)
        except BaseException:
            self.release()
            raise

    def _taken(self, most: int) -> Portion | None:
        words = self._words
        if not self._tail.read() or self._tail.rewritten > self._state[APPLIED]:
            self._todo.clear()
            self.release()
            return None
        words[BEGUN] = number = max(words[BEGUN], words[DONE]) + 1
        if self._syncs:  # or power loss could keep the agent's record of the move, and not that it was begun
            self._columns.sync(TURN)
        mark = Mark(words[ID], number, {})
        rows = self._rows(most, mark)
        if rows:
            return Portion(rows, _encode(mark))
        self._give()
        return None

    def _rows(self, most: int, mark: Mark) -> list[tuple[Target, tuple[Any, ...], Mapping[str, int]]]:
        """Return what the next chunks gained, as far as it fits, and enter it into the mark."""
        rows: list[Any] = []
        cells = CELLS
        while self._todo:
            number, start = self._todo[0]
            found = self._tail.tables[number]
            target = self._target(found)
            taken = self._gained(number, found, start) if target is not None else None
            if target is not None and taken is not None:
                width = len(taken.gains)
                left = min(most - len(rows), cells // width)
                some = taken.only(range(min(left, len(taken))))
                single = len(target.table.primary_key) == 1
                rows += ((target, (key,) if single else key, some.deltas(at)) for at, key in enumerate(some.keys))
                cells -= width * len(some)
                if len(some):
                    _note(mark, number, some)
                    self._from = some.offsets[-1] + 1
                if len(some) < len(taken):
                    return rows
            self._todo.popleft()
            self._from = 0
        return rows

    def _gained(self, number: int, found: Recovered, start: int) -> Taken | None:
        """Return what the rows of a chunk gained that have a key and were not looked at in this round."""
        copies, sent = {}, {}
        for column, name in enumerate(found.record.arrays):
            copies[name] = memoryview(bytearray(self._columns.chunk(number, column, "total", start))).cast("q")
            sent[name] = memoryview(self._columns.chunk(number, column, "sent", start)).cast("q").tolist()
        keys: list[Key] = [found.keys.get(slot) for slot in range(start, start + CHUNK)]
        taken = gained(start, keys, copies, sent)
        named = [
            at
            for at, (offset, key) in enumerate(zip(taken.offsets, taken.keys, strict=True))
            if key is not None and offset >= self._from
        ]
        return taken.only(named) if named else None

    def _tables(self) -> Iterator[tuple[int, Recovered, Target]]:
        for number, found in self._tail.tables.items():
            target = self._target(found)
            if target is not None and number in self._tail.ends:
                yield number, found, target

    def _is_dirty(self, number: int, found: Recovered, start: int) -> bool:
        chunk = self._columns.chunk
        columns = range(len(found.record.arrays))
        return any(chunk(number, at, "total", start) != chunk(number, at, "sent", start) for at in columns)

    # --- the end of a move ------------------------------------------------------------------------------------

    def settle(self, mark: bytes) -> bool:
        found, words = _decode(mark), self._words
        if found.slot != words[ID]:
            return True  # of a slot that stood here before
        if not self._tail.read():
            return False  # of another boot: its next owner says first what of it is to be believed
        if not self._has_turn and not self._turn.take():
            return False
        self._has_turn = True
        if words[DONE] < found.number:
            self._send(found)
            words[BEGUN] = max(words[BEGUN], found.number)
            words[DONE] = found.number
        self._give()
        return True

    def _send(self, mark: Mark) -> None:
        stored = []
        for number, (slots, columns) in mark.tables.items():
            names = self._tail.tables[number].record.arrays
            for name, values in columns.items():
                sent = self._columns.of(number, names.index(name), "sent", max(slots))
                for slot, value in zip(slots, values, strict=True):
                    sent[slot] = value
                stored.append(f"t{number}.c{names.index(name)}.sent")
        if self._syncs:
            self._columns.sync(*stored)

    def release(self) -> None:
        self._has_missed = True
        self._give()

    def _give(self) -> None:
        """Say that no move is on its way, and let go of the turn."""
        if self._has_turn:
            self._words[DONE] = self._words[BEGUN]
            self._has_turn = False
            self._turn.give()

    def close(self) -> None:
        """Let go of the slot; nothing of it is changed."""
        self._turn.close()
        self._tail.close()
        self._columns.close()


def _note(mark: Mark, table: int, taken: Taken) -> None:
    """Enter into a mark what is sent of these rows."""
    slots, columns = mark.tables.setdefault(table, ([], {name: [] for name in taken.copies}))
    slots += [taken.start + offset for offset in taken.offsets]
    for name, copy in taken.copies.items():
        columns[name] += [copy[offset] for offset in taken.offsets]
