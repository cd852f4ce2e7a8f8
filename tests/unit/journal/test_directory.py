"""The directory: whose it is, what is refused, and what becomes of a slot that cannot be trusted."""

from __future__ import annotations

import logging
import os
import re
import stat
import uuid
from pathlib import Path

import pytest

from aggregator.exceptions import AggregatorError, JournalError
from aggregator.journal import directory as directory_module
from aggregator.journal.directory import open_directory, quarantine
from aggregator.journal.files import Files
from aggregator.journal.format import LOG_HEADER, Corrupt, frame


def test_a_directory_keeps_its_host(directory):
    assert str(uuid.UUID(directory.host)) == directory.host
    assert open_directory(str(directory.path)).host == directory.host


def test_two_directories_are_two_hosts(directory, tmp_path):
    assert open_directory(tmp_path / "other").host != directory.host


def test_nobody_else_may_read_or_write(directory, tmp_path):
    before = os.umask(0)
    try:
        made = open_directory(tmp_path / "open")
        lease = made.free_slot()
        files = Files.open(lease)
        files.array("total", 512)
        files.rewrite([b"a"])
        files.close()
        lease.close()
    finally:
        os.umask(before)
    for place in [made.path, *made.path.rglob("*")]:
        assert stat.S_IMODE(place.stat().st_mode) == (0o700 if place.is_dir() else 0o600), place


def test_slots_are_listed_and_the_lowest_free_one_is_taken(directory):
    assert directory.slots() == []
    leases = [directory.free_slot() for _ in range(3)]
    assert [lease.slot for lease in leases] == directory.slots() == [0, 1, 2]
    leases[1].close()
    (directory.path / "slot-0000.corrupt-1").mkdir()
    (directory.path / "slot-10000").mkdir()
    (directory.path / "slot-1").mkdir()
    assert directory.slots() == [0, 1, 2, 10000]
    again = directory.free_slot()
    assert (again.slot, again.path) == (1, directory.path / "slot-0001")
    for lease in (leases[0], leases[2], again):
        lease.close()


def test_what_is_no_slot_is_not_made_by_leasing_it(directory):
    assert directory.lease(3) is None
    assert directory.slots() == []


def occupied(path, kind):
    if kind == "file":
        path.write_text("not a directory")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "symlink":
        path.symlink_to("/etc")
    else:
        path.symlink_to("nowhere")


@pytest.mark.parametrize("kind", ["file", "fifo", "symlink", "dangling"])
def test_what_is_no_directory_is_refused(tmp_path, kind):
    occupied(tmp_path / "journal", kind)
    with pytest.raises(JournalError, match="is no directory"):
        open_directory(tmp_path / "journal")


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701, 0o777, 0o1777])
def test_a_directory_open_to_others_is_refused_with_what_to_do(tmp_path, mode):
    place = tmp_path / "journal"
    open_directory(place)
    place.chmod(mode)
    with pytest.raises(JournalError, match=rf"mode {mode:o}\); chmod 700 {re.escape(str(place))}"):
        open_directory(place)
    place.chmod(0o700)
    assert open_directory(place).slots() == []


def test_a_directory_that_is_no_journal_is_refused_and_nobody_is_told_to_close_it_to_others(tmp_path):
    (tmp_path / "etc").mkdir(mode=0o755)
    (tmp_path / "etc").chmod(0o755)
    with pytest.raises(JournalError, match="is no journal, and open to others") as refused:
        open_directory(tmp_path / "etc")
    assert "chmod" not in str(refused.value)
    assert list((tmp_path / "etc").iterdir()) == []


def test_a_directory_of_another_user_is_refused(tmp_path, monkeypatch):
    (tmp_path / "journal").mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(JournalError, match="and this process runs as 4711"):
        open_directory(tmp_path / "journal")


def test_a_parent_that_anyone_may_change_is_refused_unless_it_is_sticky(tmp_path):
    parent = tmp_path / "parent"
    (parent / "below").mkdir(parents=True)
    parent.chmod(0o777)
    with pytest.raises(JournalError, match=rf"{re.escape(str(parent))} is writable for all and not sticky"):
        open_directory(parent / "below" / "journal")
    parent.chmod(0o1777)
    open_directory(parent / "below" / "journal")


def test_a_missing_parent_is_told(tmp_path):
    with pytest.raises(JournalError, match="cannot open the journal's directory .*No such file"):
        open_directory(tmp_path / "missing" / "journal")


@pytest.mark.parametrize("text", ["", "hello", "x" * 5000, "\udcff"])
def test_a_host_that_is_no_uuid_is_refused(directory, text):
    (directory.path / "host").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(JournalError, match="and no uuid"):
        open_directory(directory.path)


@pytest.mark.parametrize("kind", ["fifo", "symlink", "dangling"])
@pytest.mark.parametrize("name", ["host", "slot-0000/lease"])
def test_what_is_no_file_is_not_waited_for_and_not_followed(directory, name, kind):
    directory.free_slot().close()
    place = directory.path / name
    place.unlink()
    occupied(place, kind)
    with pytest.raises(JournalError, match="no regular file"):
        open_directory(directory.path).free_slot()


def test_a_file_in_place_of_a_slot_is_told(directory):
    (directory.path / "slot-0000").write_text("")
    with pytest.raises(JournalError, match="cannot make .*slot-0000: File exists"):
        directory.free_slot()


def test_a_system_without_what_it_takes_is_told(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate")
    with pytest.raises(JournalError, match="needs Linux"):
        open_directory(tmp_path / "journal")


def test_every_error_is_one_of_ours_and_of_the_system():
    assert issubclass(Corrupt, JournalError)
    assert issubclass(JournalError, AggregatorError)
    assert issubclass(JournalError, OSError)


# --- slots that cannot be trusted ---------------------------------------------------------------------------------


def replace_by(kind):
    def damage(log):
        log.unlink()
        if kind == "directory":
            log.mkdir()
        else:
            occupied(log, kind)

    return damage


def change(offset, data):
    def damage(log):
        content = bytearray(log.read_bytes())
        content[offset : offset + len(data)] = data
        log.write_bytes(content)

    return damage


BAD = {
    "0 bytes": (lambda log: log.write_bytes(b""), "0 bytes, fewer than the 512"),
    "half a header": (lambda log: os.truncate(log, 100), "100 bytes, fewer than the 512"),
    "wrong magic": (change(0, b"#!/bin/s"), "begins with b'#!/bin/s'"),
    "future version": (change(8, b"\2"), "version 2 and this release reads 1"),
    "header damaged": (change(30, b"\0"), "checksum of its header"),
    "header of 4 GiB": (change(16, b"\xff\xff\xff\xff"), "checksum of its header"),
    "record of 4 GiB in the middle": (change(LOG_HEADER, b"\xff\xff\xff\xff"), "no record 1 there"),
    "record of length 0 in the middle": (change(LOG_HEADER, bytes(4)), "no record 1 there"),
    "another log's tail": (lambda log: log.write_bytes(log.read_bytes()[:LOG_HEADER] + log.read_bytes()[529:]), "no r"),
    "missing": (lambda log: log.unlink(), "it is missing, and there are arrays"),
    "symlink": (replace_by("symlink"), "no regular file"),
    "dangling": (replace_by("dangling"), "no regular file"),
    "directory": (replace_by("directory"), "no regular file"),
    "fifo": (replace_by("fifo"), "no regular file"),
}


def filled(lease):
    files = Files.open(lease)
    for payload in (b"a", b"b", b"c"):
        files.append(payload)
    files.array("total", 512)
    files.close()
    return lease.path / "log"


@pytest.mark.parametrize("name", BAD)
def test_a_bad_log_is_set_aside_and_the_process_goes_on(directory, caplog, name):
    lease = directory.free_slot()
    damage, text = BAD[name]
    damage(filled(lease))
    for number in (1, 2):
        with pytest.raises(Corrupt, match=re.escape(text)) as caught:
            Files.open(lease)
        with caplog.at_level(logging.ERROR):
            aside = quarantine(lease, str(caught.value))
        assert aside == directory.path / f"slot-0000.corrupt-{number}"
        assert caplog.records[-1].levelname == "ERROR"
        assert text in caplog.text
        assert str(aside) in caplog.text
        assert directory.slots() == []
        assert lease.fds() == ()
        lease = directory.free_slot()
        assert lease.slot == 0
        damage(filled(lease))
    lease.close()


def add(data):
    return lambda log: log.write_bytes(log.read_bytes() + data)


HARMLESS = {
    "header only": (lambda log: os.truncate(log, LOG_HEADER), []),
    "record of 4 GiB at the end": (add(b"\xff" * 20), [b"a", b"b", b"c"]),
    "zeros at the end": (lambda log: os.truncate(log, 100_000), [b"a", b"b", b"c"]),
    "a record of another log at the end": (add(frame(4, b"d", 0)), [b"a", b"b", b"c"]),
    "of the year 2099": (lambda log: os.utime(log, (4_070_908_800, 4_070_908_800)), [b"a", b"b", b"c"]),
    "half a rewrite beside it": (lambda log: Path(f"{log}.new").write_bytes(b"half"), [b"a", b"b", b"c"]),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_a_log_that_can_be_gone_on_with(directory, lease, name):
    damage, expected = HARMLESS[name]
    damage(filled(lease))
    for again in range(2):
        files = Files.open(lease)
        assert files.records() == expected + [b"more"] * again
        files.append(b"more")
        files.close()
    files = Files.open(lease)
    files.rewrite([b"new"])
    files.close()


def test_a_slot_that_cannot_be_set_aside_is_told_and_kept(directory, lease, monkeypatch):
    def rename(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(directory_module.Path, "rename", rename)
    with pytest.raises(JournalError, match="cannot set .* aside: Permission denied"):
        quarantine(lease, "no reason")
    assert directory.lease(0) is None
