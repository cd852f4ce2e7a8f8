"""Real processes on one journal: leases through stops, kills and forks, limits of the system, a full disk."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from contextlib import ExitStack

import pytest

from aggregator.journal.files import Files
from tests.support.journal_processes import hear, program, tell

PROCESSES = 8


def several(stack, *arguments):
    found = [stack.enter_context(program(*arguments)) for _ in range(PROCESSES)]
    assert [hear(each) for each in found] == [["ready"]] * PROCESSES
    return found


def go(processes):
    """Let all go on, and return what each says next."""
    for each in processes:
        tell(each)
    return [hear(each) for each in processes]


def test_processes_that_begin_together_agree_on_the_host_and_on_nothing_else(tmp_path):
    with ExitStack() as stack:
        said = go(several(stack, "begin", tmp_path / "journal"))
    assert len({host for host, _ in said}) == 1
    assert sorted(int(slot) for _, slot in said) == list(range(PROCESSES))
    names = {place.name for place in (tmp_path / "journal").iterdir()}
    assert names == {"host"} | {f"slot-{n:04}" for n in range(PROCESSES)}  # nothing is left of those that came second


def test_of_many_that_want_an_orphan_exactly_one_gets_it(directory):
    directory.free_slot().close()
    with ExitStack() as stack:
        racing = several(stack, "race", directory.path)
        for _ in range(200):
            assert sorted(go(racing)) == [["0"]] * (PROCESSES - 1) + [["1"]]
            assert go(racing) == [["done"]] * PROCESSES


def test_a_stopped_owner_keeps_its_lease_and_a_killed_one_loses_it_at_once(directory):
    with program("begin", directory.path) as owner:
        hear(owner)
        tell(owner)
        hear(owner)
        owner.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, owner.pid, os.WSTOPPED | os.WNOWAIT)
        assert directory.lease(0) is None
        assert directory.free_slot().slot == 1
        owner.kill()
        owner.wait()
        lease = directory.lease(0)
        assert lease is not None
        lease.close()


@pytest.mark.parametrize("closes", ["yes", "no"])
def test_a_forked_child_that_closed_what_it_inherited_does_not_keep_the_lease(directory, closes):
    with program("fork", directory.path, closes) as owner:
        assert hear(owner) == ["child"]
        assert directory.lease(0) is None  # and did not take it from its parent
        owner.kill()
        owner.wait()
        lease = directory.lease(0)
        assert (lease is not None) == (closes == "yes")
        if lease is not None:
            lease.close()


def test_a_child_cannot_use_what_it_closed_and_its_parent_goes_on(directory):
    with program("fork_files", directory.path) as parent:
        assert hear(parent) == ["2"]
        parent.wait()
    lease = directory.lease(0)
    files = Files.open(lease)
    assert files.records() == [b"before", b"after"]
    assert files.array("total", 512)[0] == 2
    files.close()
    lease.close()


def test_what_was_appended_and_stored_survives_sigkill(directory):
    with program("store", directory.path) as process:
        assert hear(process) == ["stored"]
        process.kill()
        process.wait()
    lease = directory.lease(0)
    files = Files.open(lease)
    assert files.records() == [f"record {number}".encode() for number in range(100)]
    assert files.array("total", 512)[:100].tolist() == list(range(-50, 50))
    files.close()
    lease.close()


def test_a_lease_is_not_inherited_by_programs(directory):
    lease = directory.free_slot()
    assert [os.get_inheritable(fd) for fd in lease.fds()] == [False]
    lease.close()
    lease.close()
    assert lease.fds() == ()


def test_a_folder_that_went_away_is_not_leased(directory, monkeypatch):
    # Set aside between the opening of its lease file and the lock.
    directory.free_slot().close()
    import fcntl

    real = fcntl.flock

    def flock(fd, operation):
        monkeypatch.setattr(fcntl, "flock", real)
        (directory.path / "slot-0000").rename(directory.path / "slot-0000.corrupt-1")
        (directory.path / "slot-0000").mkdir(mode=0o700)
        (directory.path / "slot-0000" / "lease").touch(mode=0o600)
        real(fd, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    assert directory.lease(0) is None
    lease = directory.lease(0)
    assert lease is not None
    lease.close()


# --- limits ---------------------------------------------------------------------------------


def reopened(directory):
    lease = directory.lease(0)
    files = Files.open(lease)
    found = files.records()
    files.close()
    lease.close()
    return found


def test_a_limit_of_the_size_of_files_is_an_error_and_no_half_record(directory):
    with program("limit_size", directory.path) as process:
        number, count, size = map(int, hear(process))
        assert number == errno.EFBIG
        assert size <= 9_999
        assert hear(process) == ["array", str(errno.EFBIG)]
        assert hear(process) == ["end"]
        process.wait()
    assert reopened(directory) == [f"record {n}".encode() for n in range(count)] + [b"afterwards"]


def test_no_descriptor_left_is_a_clear_error_and_appending_goes_on(directory):
    with program("limit_files", directory.path) as process:
        number, made, *text = hear(process)
        assert (int(number), int(made)) >= (errno.EMFILE, 1)
        assert " ".join(text).endswith("Too many open files; raise the limit of open files (ulimit -n)")
        assert hear(process) == [str(errno.EMFILE)]
        assert hear(process) == ["end"]
        process.wait()
    assert reopened(directory) == [b"afterwards"]


@pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare: a small file system needs a name space")
def test_a_full_disk_is_an_error_and_no_signal(tmp_path):
    with program("fill_disk", tmp_path, before=("unshare", "-rm")) as process:
        first = hear(process)
        if first in ([], ["refused"]):
            pytest.skip("this user may not mount in a name space of its own: no small file system to fill")
        number, count, size = map(int, first)
        assert number == errno.ENOSPC
        assert count > 1000
        assert size < 256 << 10
        assert hear(process) == [str(errno.ENOSPC)]  # reserving
        assert hear(process) == [str(errno.ENOSPC)]  # rewriting
        assert hear(process) == ["7"]  # a reserved slot was stored into all the same
        assert hear(process) == ["one", "afterwards"]
        assert hear(process) == [str(errno.EROFS)]
