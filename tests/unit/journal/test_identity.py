"""Whose journal it is: a copy, another boot and another machine are told apart from going on."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from aggregator.journal import identity as identity_module
from aggregator.journal.directory import open_directory
from aggregator.journal.files import Files
from aggregator.journal.identity import Identity


@pytest.fixture
def written(directory):
    """Give a directory with a slot that was written."""
    lease = directory.free_slot()
    files = Files.open(lease)
    files.append(b"a")
    files.close()
    lease.close()
    return directory


def opened(directory):
    """Return (is_copy, is_other_boot, records) of slot 0."""
    lease = directory.lease(0)
    files = Files.open(lease)
    found = files.is_copy, files.is_other_boot, files.records()
    files.close()
    lease.close()
    return found


def claimed(directory):
    lease = directory.lease(0)
    files = Files.open(lease)
    files.claim()
    files.append(b"b")
    files.close()
    lease.close()


def test_going_on_in_place_is_neither(written):
    assert opened(written) == (False, False, [b"a"])


def test_a_directory_that_was_moved_is_the_same(written, tmp_path):
    written.path.rename(tmp_path / "moved")
    assert opened(open_directory(tmp_path / "moved")) == (False, False, [b"a"])


def test_a_directory_that_was_copied_is_known(written, tmp_path):
    shutil.copytree(written.path, tmp_path / "copy")
    copy = open_directory(tmp_path / "copy")
    assert copy.host == written.host
    assert opened(copy) == (True, False, [b"a"])
    assert opened(copy)[0]  # as long as nobody claims it
    claimed(copy)
    assert opened(copy) == (False, False, [b"a", b"b"])
    assert opened(written) == (False, False, [b"a"])


def test_another_boot_is_known_until_it_is_claimed(written, monkeypatch, tmp_path):
    (tmp_path / "boot").write_text("another\n")
    monkeypatch.setattr(identity_module, "_BOOT", tmp_path / "boot")
    assert opened(written) == (False, True, [b"a"])
    assert opened(written) == (False, True, [b"a"])
    claimed(written)
    assert opened(written) == (False, False, [b"a", b"b"])


def test_a_rewrite_claims_too(written, monkeypatch, tmp_path):
    (tmp_path / "boot").write_text("another\n")
    monkeypatch.setattr(identity_module, "_BOOT", tmp_path / "boot")
    lease = written.lease(0)
    files = Files.open(lease)
    files.rewrite(files.records())
    files.close()
    lease.close()
    assert opened(written) == (False, False, [b"a"])


def test_another_machine_is_a_copy(written, monkeypatch, tmp_path):
    (tmp_path / "machine").write_text("another\n")
    monkeypatch.setattr(identity_module, "_MACHINE", tmp_path / "machine")
    assert opened(written) == (True, False, [b"a"])


@pytest.mark.parametrize("text", [None, "", "uninitialized\n"])
def test_without_a_machine_id_the_directory_keeps_one(tmp_path, monkeypatch, text):
    if text is not None:
        (tmp_path / "machine-id").write_text(text)
    monkeypatch.setattr(identity_module, "_MACHINE", tmp_path / "machine-id")
    directory = open_directory(tmp_path / "journal")
    leases = [directory.free_slot() for _ in range(2)]
    machines = {Identity.here(lease.path).machine for lease in leases}
    assert machines == {(directory.path / "machine").read_text()}
    assert len(machines.pop()) == 32
    for lease in leases:
        lease.close()
    other = open_directory(tmp_path / "other").free_slot()
    assert Identity.here(other.path).machine != (directory.path / "machine").read_text()
    other.close()


def test_device_numbers_count_within_one_boot_alone():
    here = Identity("machine", "boot", device=1, inode=2, pid=3, created=4.0)
    assert not here.is_copy_of(replace(here, pid=9, created=9.0))
    assert here.is_copy_of(replace(here, device=9))
    assert not here.is_copy_of(replace(here, device=9, boot="another"))
    assert here.is_copy_of(replace(here, inode=9, boot="another"))
    assert here.is_copy_of(replace(here, machine="another"))
