"""Arrays: what was stored stays, through closing, growing and death; a file that is not right is not used."""

from __future__ import annotations

import os

import pytest

from aggregator.exceptions import JournalError
from aggregator.journal.files import Files
from aggregator.journal.format import ARRAY_HEADER, Corrupt

MIN, MAX = -(2**63), 2**63 - 1


@pytest.fixture
def files(lease):
    files = Files.open(lease)
    yield files
    files.close()


@pytest.fixture
def path(lease, files):
    """Give the path of an array of 512 slots that was closed."""
    files.array("total", 512)[7] = 7
    files.close()
    return lease.path / "total.array"


def test_an_array_begins_with_zeros_and_keeps_what_was_stored(lease, files):
    view = files.array("total", 512)
    assert view.tolist() == [0] * 512
    view[0], view[1], view[511] = MIN, MAX, -1
    files.sync()
    files.close()
    again = Files.open(lease)
    assert again.array("total", 512)[:2].tolist() == [MIN, MAX]
    assert again.array("total", 512)[511] == -1
    again.close()


def test_an_array_grows_and_never_shrinks(lease, files):
    small = files.array("total", 512)
    small[5] = 5
    large = files.array("total", 100_000)
    assert (len(large), large[5]) == (100_000, 5)
    small[6], large[7] = 6, 7
    assert (large[6], small[7]) == (6, 7)  # one memory: who holds the old view goes on
    assert len(files.array("total", 10)) == 100_000
    files.close()
    again = Files.open(lease)
    assert again.array("total", 512)[:8].tolist() == [0, 0, 0, 0, 0, 5, 6, 7]
    assert len(again.array("total", 200_000)) == 200_000
    again.close()


def test_arrays_are_apart(files):
    files.array("total", 512)[0] = 1
    assert files.array("sent", 512)[0] == 0


def test_an_array_is_sparse_until_it_is_reserved(lease, files):
    files.array("total", 1_000_000)
    path = lease.path / "total.array"
    assert path.stat().st_blocks * 512 < 100_000
    files.reserve("total", 512, 100_000)
    assert 800_000 <= path.stat().st_blocks * 512 < 1_000_000
    assert files.array("total", 512)[512] == 0


def test_reserving_keeps_what_is_there(files):
    view = files.array("total", 4096)
    view[600] = 600
    files.reserve("total", 0, 4096)
    assert view[600] == 600


def test_a_closed_array_cannot_be_stored_into(files):
    view = files.array("total", 512)
    files.close()
    with pytest.raises(ValueError, match="released"):
        view[0] = 1


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "../a", "a\0b", "é", "a" * 101, "a\n"])
def test_a_name_that_could_be_another_file_is_refused(files, name):
    with pytest.raises(ValueError, match="cannot name an array"):
        files.array(name, 512)


def test_half_an_array_is_not_left_behind(lease, files):
    (lease.path / "total.array.new").write_bytes(b"the maker died here")
    assert files.array("total", 512)[0] == 0
    assert not (lease.path / "total.array.new").exists()


def test_an_array_longer_than_its_header_says_is_as_its_header_says(lease, path):
    # Death between the two steps of growing.
    os.truncate(path, ARRAY_HEADER + 8 * 600)
    files = Files.open(lease)
    assert len(files.array("total", 512)) == 512
    assert files.array("total", 600)[7] == 7
    files.close()


def test_an_array_that_has_grown_and_is_cut_is_not_used(lease, path):
    files = Files.open(lease)
    files.array("total", 600)
    files.close()
    os.truncate(path, ARRAY_HEADER + 8 * 512)
    files = Files.open(lease)
    with pytest.raises(Corrupt, match="of its 600 slots"):
        files.array("total", 512)
    files.close()


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda path: path.write_bytes(b""), "0 bytes, fewer than the 4096 of its header"),
        (lambda path: os.truncate(path, 100), "100 bytes, fewer than the 4096"),
        (lambda path: os.truncate(path, ARRAY_HEADER), "fewer than the 8,192 of its 512 slots"),
        (lambda path: os.truncate(path, ARRAY_HEADER + 8 * 512 - 1), "fewer than the 8,192"),
        (lambda path: change(path, 0, b"X"), "begins with"),
        (lambda path: change(path, 8, b"\2"), "version 2 and this release reads 1"),
        (lambda path: change(path, 25, b"X"), "checksum of its header"),
        (lambda path: change(path, 16, b"\xff\xff\xff\xff"), "checksum of its header"),
        (lambda path: (path.unlink(), path.mkdir()), "no regular file"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "no regular file"),
        (lambda path: (path.unlink(), path.symlink_to("/etc/passwd")), "no regular file"),
        (lambda path: (path.unlink(), path.symlink_to("nowhere")), "no regular file"),
    ],
)
def test_a_file_that_is_not_right_is_not_used(lease, path, damage, text):
    damage(path)
    files = Files.open(lease)
    with pytest.raises(Corrupt, match=text):
        files.array("total", 512)
    files.append(b"the log is not touched by it")
    files.close()


def change(path, offset, data):
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def test_an_array_under_another_name_is_not_used(lease, path):
    path.rename(lease.path / "sent.array")
    files = Files.open(lease)
    with pytest.raises(Corrupt, match="it is the array 'total' and not 'sent'"):
        files.array("sent", 512)
    files.close()


def test_more_than_the_system_maps_is_a_clear_error(files):
    with pytest.raises(JournalError, match=r"cannot open .*total.array for"):
        files.array("total", 1 << 52)
