"""The log: what was appended is what is read, in order, whatever happens in the middle of it."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest

from aggregator.exceptions import JournalError
from aggregator.journal import format as format_module
from aggregator.journal import log as log_module
from aggregator.journal.files import Files
from aggregator.journal.format import LOG_HEADER, PAYLOAD_LIMIT, Corrupt, frame

PAYLOADS = [b"a", b"bb" * 20, b"\0" * 30, b"d", b"last"]


def records(lease):
    """Open the slot anew and return what its log holds."""
    files = Files.open(lease)
    found = files.records()
    files.close()
    return found


@pytest.fixture
def files(lease):
    files = Files.open(lease)
    yield files
    files.close()


@pytest.fixture
def written(lease, files):
    """Give the path of a log that holds PAYLOADS."""
    for payload in PAYLOADS:
        files.append(payload)
    files.close()
    return lease.path / "log"


def salt_of(files):
    return files._log._salt


def test_numbers_go_on_without_a_gap(lease, files):
    assert [files.append(payload) for payload in PAYLOADS] == [1, 2, 3, 4, 5]
    files.close()
    again = Files.open(lease)
    assert (again.first_seq, again.records(), again.records()) == (1, PAYLOADS, [])
    assert again.append(b"six") == 6
    assert again.rewrite([b"seven", b"eight"]) == again.first_seq == 7
    assert again.append(b"nine") == 9
    again.close()
    third = Files.open(lease)
    assert (third.first_seq, third.records()) == (7, [b"seven", b"eight", b"nine"])
    assert third.log_bytes == (lease.path / "log").stat().st_size
    third.close()


def test_a_rewrite_may_leave_nothing(lease, files):
    files.append(b"a")
    files.rewrite([])
    assert files.append(b"b") == 2
    files.close()
    assert records(lease) == [b"b"]


def test_a_rewrite_of_more_than_one_group_keeps_everything(lease, files):
    payloads = [bytes([number % 251]) * 100_000 for number in range(30)]
    files.rewrite(iter(payloads))
    files.close()
    assert records(lease) == payloads


@pytest.mark.parametrize("payload", [b"", bytes(PAYLOAD_LIMIT + 1)])
def test_a_payload_outside_its_limits_is_refused(lease, files, payload):
    with pytest.raises(ValueError, match="nothing was written"):
        files.append(payload)
    files.append(bytes(PAYLOAD_LIMIT))
    files.close()
    assert records(lease) == [bytes(PAYLOAD_LIMIT)]


def test_a_log_cut_at_any_byte_gives_exactly_the_whole_records_before_the_cut(lease, written):
    data = written.read_bytes()
    ends = [LOG_HEADER]
    for payload in PAYLOADS:
        ends.append(ends[-1] + 16 + len(payload))
    for cut in range(len(data) + 1):
        written.write_bytes(data[:cut])
        if cut < LOG_HEADER:
            with pytest.raises(Corrupt, match="fewer than the 512"):
                Files.open(lease)
            assert written.stat().st_size == cut
        else:
            whole = sum(end <= cut for end in ends[1:])
            assert records(lease) == PAYLOADS[:whole]
            assert written.stat().st_size == ends[whole]


@pytest.mark.parametrize("mask", [0xFF, 0x01])
def test_any_damaged_byte_is_seen(lease, written, mask):
    data = written.read_bytes()
    last = len(data) - 16 - len(PAYLOADS[-1])
    padding = data.rindex(b"}", 0, LOG_HEADER) + 1
    for offset in range(len(data)):
        damaged = bytearray(data)
        damaged[offset] ^= mask
        written.write_bytes(damaged)
        if padding <= offset < LOG_HEADER:
            assert records(lease) == PAYLOADS
        elif offset < last:
            with pytest.raises(Corrupt):
                Files.open(lease)
            assert written.read_bytes() == damaged
        else:
            assert records(lease) == PAYLOADS[:-1]


def test_corruption_says_where_and_what_follows(lease, written):
    data = bytearray(written.read_bytes())
    data[LOG_HEADER + 8] ^= 1
    written.write_bytes(data)
    with pytest.raises(
        Corrupt, match=r"log is damaged at byte 512: no record 1 there, but a whole one at byte 529"
    ) as e:
        Files.open(lease)
    assert (e.value.offset, e.value.errno) == (LOG_HEADER, None)


def test_a_longer_record_than_there_can_be_is_none_however_good_its_checksum(lease, files, monkeypatch):
    monkeypatch.setattr(format_module, "PAYLOAD_LIMIT", PAYLOAD_LIMIT + 1)
    files.append(bytes(PAYLOAD_LIMIT + 1))
    files.close()
    monkeypatch.undo()
    assert records(lease) == []


def test_a_repeated_block_is_corruption(lease, written):
    data = written.read_bytes()
    written.write_bytes(data + data[LOG_HEADER:])
    with pytest.raises(Corrupt):
        Files.open(lease)


def test_a_payload_that_looks_like_a_record_does_not_count_as_one(lease, files):
    # Cut in its middle: what a key can hold must not turn a torn tail into corruption.
    files.append(b"a")
    files.append(frame(2, b"forged", 0) + frame(3, b"forged", 1) + bytes(40))
    files.close()
    path = lease.path / "log"
    os.truncate(path, path.stat().st_size - 1)
    assert records(lease) == [b"a"]


def test_records_of_the_log_before_a_rewrite_do_not_count(lease, files, written):
    # A disk may hand out blocks that held the old log.
    old = written.read_bytes()[LOG_HEADER:]
    again = Files.open(lease)
    again.rewrite([b"new"])
    again.close()
    with written.open("ab") as end:
        end.write(old)
    assert records(lease) == [b"new"]


# --- failures of the system ---------------------------------------------------------------------------------


class Failing:
    """A function of the system that fails when its turn comes; ``turn`` counts the calls of all of them."""

    def __init__(self, monkeypatch, number, *names):
        self.calls = 0
        self.turn = 0
        for name in names:
            owner, attribute = (Path, name) if name == "rename" else (os, name)
            monkeypatch.setattr(owner, attribute, self.wrapped(getattr(owner, attribute), number))

    def wrapped(self, real, number):
        def call(*arguments, **options):
            self.calls += 1
            if self.calls == self.turn:
                raise OSError(number, os.strerror(number))
            return real(*arguments, **options)

        return call


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS, errno.EFBIG])
def test_a_failed_append_leaves_the_log_as_it_was(lease, files, monkeypatch, number):
    files.append(b"a")
    failing = Failing(monkeypatch, number, "pwrite")
    failing.turn = 1
    with pytest.raises(JournalError, match="record 2 .* as before: .*; ") as e:
        files.append(b"b")
    assert e.value.errno == number
    assert isinstance(e.value, OSError)
    assert files.append(b"c") == 2
    files.close()
    assert records(lease) == [b"a", b"c"]


@pytest.mark.parametrize("fits", [0, 1, 15, 16, 20])
@pytest.mark.parametrize("truncates", [True, False])
def test_a_write_cut_short_by_a_full_disk_leaves_nothing_behind(lease, files, monkeypatch, fits, truncates):
    real, left = os.pwrite, [fits]

    def pwrite(fd, data, offset):
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        count, left[0] = real(fd, data[: left[0]], offset), 0
        return count

    def ftruncate(fd, size):
        raise OSError(errno.EIO, "Input/output error")

    files.append(b"a")
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", pwrite)
        if not truncates:
            patched.setattr(os, "ftruncate", ftruncate)
        with pytest.raises(JournalError, match="free space"):
            files.append(b"b" * 40)
    size = (lease.path / "log").stat().st_size
    assert size == files.log_bytes + (0 if truncates else fits)
    assert files.append(b"c") == 2
    files.close()
    assert records(lease) == [b"a", b"c"]


def test_short_writes_are_gone_on_with(lease, files, monkeypatch):
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: real(fd, data[:3], offset))
    for payload in PAYLOADS:
        files.append(payload)
    files.rewrite(PAYLOADS)
    files.append(b"more")
    files.close()
    assert records(lease) == [*PAYLOADS, b"more"]


def test_a_rewrite_that_fails_at_any_step_leaves_the_old_log_in_use(lease, files, monkeypatch):
    files.append(b"a")
    failing = Failing(monkeypatch, errno.ENOSPC, "open", "pwrite", "fsync", "rename")
    expected, failures = [b"a"], 0
    while True:
        failing.calls, failing.turn = 0, failures + 1
        try:
            files.rewrite([b"new"] * 3)
        except JournalError as error:
            if "cannot sync" in str(error):
                break
        assert [entry.name for entry in lease.path.iterdir() if entry.suffix == ".new"] == []
        failing.turn = 0
        files.append(b"b")
        expected.append(b"b")
        failures += 1
    assert failures >= 5
    # What failed last is to make the rename durable: nobody knows which log a power loss would leave.
    with pytest.raises(JournalError, match="takes nothing any more"):
        files.append(b"c")
    files.close()
    assert records(lease) == [b"new"] * 3


def test_a_rewrite_that_failed_before_the_rename_has_lost_nothing(lease, files, monkeypatch):
    files.append(b"a")
    failing = Failing(monkeypatch, errno.ENOSPC, "rename")
    failing.turn = 1
    with pytest.raises(JournalError, match="cannot rewrite .* as before: No space left"):
        files.rewrite([b"new"])
    files.append(b"b")
    assert files._log._meanwhile is None  # nothing is gathered for a rewrite that is over
    files.close()
    assert records(lease) == [b"a", b"b"]


def test_a_failed_sync_is_final(lease, files, monkeypatch):
    files.append(b"a")
    failing = Failing(monkeypatch, errno.EIO, "fdatasync")
    failing.turn = 1
    with pytest.raises(JournalError, match="cannot sync .*check the disk"):
        files.sync()
    for call in (files.sync, lambda: files.append(b"b"), lambda: files.rewrite([b"b"]), files.claim):
        with pytest.raises(JournalError, match=r"takes nothing any more.*a sync failed \(Input/output error\)"):
            call()
    files.close()
    assert records(lease) == [b"a"]


def test_a_failed_sync_of_an_array_is_final_too(files, monkeypatch):
    files.array("total", 512)
    failing = Failing(monkeypatch, errno.EIO, "fdatasync")
    failing.turn = 2  # the log is the first
    with pytest.raises(JournalError, match="total.array"):
        files.sync()
    with pytest.raises(JournalError, match="total.array"):
        files.append(b"b")


def test_closed_files_take_nothing(files):
    files.close()
    files.close()
    for call in (files.sync, lambda: files.append(b"b"), lambda: files.rewrite([b"b"])):
        with pytest.raises(JournalError, match="it is closed"):
            call()


# --- calls in the middle of a call ---------------------------------------------------------------------------------


def nested(monkeypatch, owner, name, call, *, first):
    """Call something once within a function of the system, before or after its work."""
    real, waiting = getattr(owner, name), [call]

    def wrapped(*arguments, **options):
        if first and waiting:
            waiting.pop()()
        result = real(*arguments, **options)
        if waiting:
            waiting.pop()()
        return result

    monkeypatch.setattr(owner, name, wrapped)


@pytest.mark.parametrize(("owner", "name", "first"), [(log_module, "frame", True), (log_module, "frame", False)])
def test_an_append_before_the_place_is_taken_goes_first(lease, files, monkeypatch, owner, name, first):
    seqs = []
    nested(monkeypatch, owner, name, lambda: seqs.append(files.append(b"inner")), first=first)
    assert (files.append(b"outer"), seqs) == (2, [1])
    files.close()
    assert records(lease) == [b"inner", b"outer"]


def test_an_append_after_the_place_is_taken_goes_behind(lease, files, monkeypatch):
    seqs = []
    nested(monkeypatch, os, "pwrite", lambda: seqs.append(files.append(b"inner")), first=False)
    assert (files.append(b"outer"), seqs) == (1, [2])
    files.close()
    assert records(lease) == [b"outer", b"inner"]


def test_a_failure_with_an_append_behind_it_is_final_and_seen_as_corruption(lease, files, monkeypatch):
    def pwrite(fd, data, offset, real=os.pwrite):
        monkeypatch.setattr(os, "pwrite", real)
        files.append(b"inner")
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "pwrite", pwrite)
    with pytest.raises(JournalError):
        files.append(b"outer")
    with pytest.raises(JournalError, match="record 1 could not be written, and one behind it was"):
        files.append(b"more")
    files.close()
    with pytest.raises(Corrupt):
        Files.open(lease)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(("owner", "name"), [(os, "fsync"), (Path, "rename"), (os, "close"), (log_module, "frame")])
def test_an_append_in_the_middle_of_a_rewrite_is_in_the_new_log(lease, files, monkeypatch, owner, name, first):
    files.append(b"old")
    nested(monkeypatch, owner, name, lambda: files.append(b"inner"), first=first)
    files.rewrite([b"new", b"new"])
    monkeypatch.undo()
    files.append(b"after")
    files.close()
    assert records(lease) == [b"new", b"new", b"inner", b"after"]


def test_a_signal_handler_may_append_at_any_instant(lease, files):
    handled = []

    def handler(_number, _frame):
        handled.append(files.append(b"inner"))

    before = signal.signal(signal.SIGVTALRM, handler)
    signal.setitimer(signal.ITIMER_VIRTUAL, 1e-4, 1e-4)
    try:
        count = 0
        while len(handled) < 100:
            files.append(b"outer")
            count += 1
            if count % 1000 == 0:
                files.rewrite([])
                count = 0
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    files.close()
    assert records(lease).count(b"outer") == count
