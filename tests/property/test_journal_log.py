"""The log against a model of a list: after any damage it gives an exact prefix or says that it is corrupt."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from aggregator.exceptions import JournalError
from aggregator.journal.directory import open_directory
from aggregator.journal.files import Files
from aggregator.journal.format import LOG_HEADER, Corrupt, frame

FRAME = 16
payloads = st.binary(min_size=1, max_size=40) | st.sampled_from([bytes(30), b"\xff" * 30, frame(1, b"x", 0)])


class LogMachine(RuleBasedStateMachine):
    """One slot whose log is appended to, rewritten, damaged and opened again."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="journal-"))
        self.lease = open_directory(self.folder / "journal").free_slot()
        self.path = self.lease.path / "log"
        self.kept: list[bytes] = []  # the model: what the log holds
        self.next_seq = 1
        self.older = b""  # the records of the log that the last rewrite replaced
        self.files = Files.open(self.lease)

    @initialize(first=st.lists(payloads, max_size=5))
    def begin(self, first):
        for payload in first:
            self.append(payload)

    def teardown(self):
        self.files.close()
        self.lease.close()
        shutil.rmtree(self.folder)

    # --- what a process does ----------------------------------------------------------------------------------

    @rule(payload=payloads)
    def append(self, payload):
        assert self.files.append(payload) == self.next_seq
        self.kept.append(payload)
        self.next_seq += 1

    @rule(new=st.lists(payloads, max_size=6), inside=st.none() | payloads)
    def rewrite(self, new, inside):
        self.older = self.path.read_bytes()[LOG_HEADER:]

        def iterated():
            yield from new
            if inside is not None:
                self.files.append(inside)  # as a __del__ may, in the middle of it

        assert self.files.rewrite(iterated()) == self.next_seq
        self.kept = new + [inside] * (inside is not None)
        self.next_seq += len(self.kept)

    @rule(new=st.lists(payloads, max_size=6))
    def fail_to_rewrite(self, new):
        def iterated():
            yield from new
            raise JournalError("the disk is full")

        try:
            self.files.rewrite(iterated())
        except JournalError:
            return
        raise AssertionError("nothing was raised")

    @rule()
    def sync(self):
        self.files.sync()

    @rule()
    def reopen(self):
        self.files.close()
        self.expect(len(self.kept))

    # --- what happens to its file -------------------------------------------------------------------------------

    @rule(back=st.integers(0, 200))
    def tear(self, back):
        data = self.closed()
        cut = max(LOG_HEADER, len(data) - back)
        self.path.write_bytes(data[:cut])
        self.expect(sum(end <= cut for end in self.ends()))

    @rule(back=st.integers(0, 200), tail=st.binary(max_size=60) | st.integers(1, 5000).map(bytes))
    def tear_and_leave_garbage(self, back, tail):
        data = self.closed()
        cut = max(LOG_HEADER, len(data) - back)
        left = data[:cut] + tail  # which may happen to be what was cut off
        self.path.write_bytes(left)
        self.expect(sum(left[:end] == data[:end] for end in self.ends()))

    @rule()
    def find_blocks_of_the_log_before(self):
        self.path.write_bytes(self.closed() + self.older)
        self.expect(len(self.kept))

    @precondition(lambda self: self.kept)
    @rule(where=st.floats(0, 1, exclude_max=True), mask=st.integers(1, 255))
    def flip(self, where, mask):
        data = bytearray(self.closed())
        offset = LOG_HEADER + int(where * (len(data) - LOG_HEADER))
        data[offset] ^= mask
        self.path.write_bytes(data)
        hit = sum(end <= offset for end in self.ends())
        self.expect(hit if hit == len(self.kept) - 1 else None)

    @rule(offset=st.integers(0, LOG_HEADER - 1), mask=st.integers(1, 255))
    def flip_in_the_header(self, offset, mask):
        data = bytearray(self.closed())
        padding = data.rindex(b"}", 0, LOG_HEADER) + 1
        data[offset] ^= mask
        self.path.write_bytes(data)
        self.expect(len(self.kept) if offset >= padding else None)

    @precondition(lambda self: len(self.kept) >= 2)
    @rule(data=st.data())
    def repeat_a_block(self, data):
        """Insert a copy of some whole records between two others: the same, or stale, where another was."""
        bounds = [LOG_HEADER, *self.ends()]
        first = data.draw(st.integers(0, len(bounds) - 2))
        last = data.draw(st.integers(first + 1, len(bounds) - 1))
        place = data.draw(st.integers(0, len(bounds) - 1))
        content = self.closed()
        block = content[bounds[first] : bounds[last]]
        self.path.write_bytes(content[: bounds[place]] + block + content[bounds[place] :])
        self.expect(None)

    @precondition(lambda self: len(self.kept) >= 2)
    @rule(data=st.data(), fill=st.sampled_from([b"\0", b"\xff"]))
    def lose_a_record_in_the_middle(self, data, fill):
        bounds = [LOG_HEADER, *self.ends()]
        lost = data.draw(st.integers(0, len(self.kept) - 2))
        content = self.closed()
        gap = bounds[lost + 1] - bounds[lost]
        self.path.write_bytes(content[: bounds[lost]] + fill * gap + content[bounds[lost + 1] :])
        self.expect(None)

    # --- the oracle -----------------------------------------------------------------------------------------------

    def ends(self):
        """Return where each record ends."""
        found, end = [], LOG_HEADER
        for payload in self.kept:
            end += FRAME + len(payload)
            found.append(end)
        return found

    def closed(self):
        self.files.close()
        self.good = self.path.read_bytes()
        return self.good

    def expect(self, count):
        """Open the log: it holds the first so many records; None: it is corrupt, as it was before the damage."""
        try:
            self.files = Files.open(self.lease)
        except Corrupt:
            assert count is None
            self.path.write_bytes(self.good)
            self.files = Files.open(self.lease)
            count = len(self.kept)
        else:
            assert count is not None, "damage was not seen"
        self.next_seq -= len(self.kept) - count
        self.kept = self.kept[:count]
        assert self.files.records() == self.kept

    @invariant()
    def the_file_holds_what_was_kept_and_no_more(self):
        assert self.files.log_bytes == self.path.stat().st_size == [LOG_HEADER, *self.ends()][-1]


TestLog = LogMachine.TestCase
TestLog.settings = settings(
    max_examples=150, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
