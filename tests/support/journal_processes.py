"""
Programs that use one journal together with the test that starts them: ``python -m tests.support.journal_processes``.

Rules that live here: a program prints a line for each thing it has done, and waits for a line before it goes on, so
tests order them by events and not by time.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from aggregator.exceptions import JournalError
from aggregator.journal.directory import open_directory
from aggregator.journal.files import Files
from aggregator.journal.lease import Lease

ROOT = Path(__file__).parents[2]


@contextmanager
def program(*arguments: object, before: tuple[str, ...] = ()) -> Iterator[subprocess.Popen[str]]:
    """Run a program of this module for the time of the context; ``before``: a command that runs it."""
    process = subprocess.Popen(
        [*before, sys.executable, "-m", "tests.support.journal_processes", *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def tell(process: subprocess.Popen[str]) -> None:
    """Let a program go on."""
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> list[str]:
    """Return the words of the next line a program says."""
    assert process.stdout is not None
    return process.stdout.readline().split()


def say(*words: object) -> None:
    """Print one line at once."""
    print(*words, flush=True)


def wait() -> None:
    """Wait until the test writes a line; end where it is gone."""
    if not os.read(0, 100):
        os._exit(0)


def begin(path: str) -> None:
    """Open a directory and lease a slot, when told to; say the host and the slot, and keep it."""
    say("ready")
    wait()
    directory = open_directory(path)
    lease = directory.free_slot()
    say(directory.host, lease.slot)
    wait()
    lease.close()


def race(path: str) -> None:
    """Try to lease slot 0 each time when told to, say whether it did, and give it back when told to."""
    directory = open_directory(path)
    say("ready")
    while True:
        wait()
        lease = directory.lease(0)
        say(int(lease is not None))
        wait()
        if lease is not None:
            lease.close()
        say("done")


def fork(path: str, closes: str) -> None:
    """Lease a slot and fork: the child closes what it inherited, or does not; both stay until told, or killed."""
    lease = open_directory(path).free_slot()
    if os.fork() == 0:
        if closes == "yes":
            lease.close_in_child()
        say("child")
        wait()
        os._exit(0)
    wait()


def fork_files(path: str) -> None:
    """Fork with files open: the child closes them and can use them no more, the parent goes on."""
    lease, files = _opened(path)
    view = files.array("total", 512)
    files.append(b"before")
    if os.fork() == 0:
        files.close_in_child()
        lease.close_in_child()
        os._exit(_refusals(lambda: files.append(b"child"), lambda: view.__setitem__(0, 1)))
    _, status = os.wait()
    view[0] = 2
    files.append(b"after")
    say(os.waitstatus_to_exitcode(status))


def _refusals(*calls: Callable[[], object]) -> int:
    refused = 0
    for call in calls:
        try:
            call()
        except (JournalError, ValueError):
            refused += 1
    return refused


def store(path: str) -> None:
    """Append and store, without syncing anything, say so, and wait to be killed."""
    _, files = _opened(path)
    view = files.array("total", 512)
    for number in range(100):
        files.append(f"record {number}".encode())
        view[number] = number - 50
    say("stored")
    wait()


def limit_size(path: str) -> None:
    """Append under a limit of the size of files until it is refused, then without."""
    _, files = _opened(path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9_999, resource.RLIM_INFINITY))
    _fill(files)
    try:
        files.array("total", 100_000)
    except JournalError as error:
        say("array", error.errno)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    files.append(b"afterwards")
    say("end")


def limit_files(path: str) -> None:
    """Open arrays until there are no descriptors left, then append, which takes none."""
    _, files = _opened(path)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + 8, 1024))
    made = 0
    try:
        for made in range(100):
            files.array(f"array-{made}", 512)
    except JournalError as error:
        say(error.errno, made, str(error))
    while made:  # take what is left too
        try:
            os.open("/dev/null", os.O_RDONLY)
        except OSError:
            break
    try:
        files.rewrite([b"new"])
    except JournalError as error:
        say(error.errno)
    files.append(b"afterwards")
    say("end")


def fill_disk(path: str) -> None:
    """On a small file system: fill it by appends, try the rest, make room, go on; then mount it read-only."""
    mount("-t", "tmpfs", "-o", "size=256k,mode=700", "journal", path)
    ballast = Path(path, "ballast")
    ballast.write_bytes(bytes(8192))
    lease, files = _opened(path)
    view = files.array("total", 1 << 20)  # sparse: larger than the file system
    files.reserve("total", 0, 512)
    _fill(files)
    for action in (lambda: files.reserve("total", 512, 1 << 19), lambda: files.rewrite([bytes(1000)] * 1000)):
        try:
            action()
        except JournalError as error:
            say(error.errno)
    view[511] = 7
    ballast.unlink()
    files.rewrite([b"one"])
    files.append(b"afterwards")
    say(view[511], *Path(path, "slot-0000").glob("*.new"))
    files.close()
    files = Files.open(lease)
    say(*(payload.decode() for payload in files.records()))
    files.close()
    lease.close()
    mount("-o", "remount,ro", path)
    try:
        open_directory(path).free_slot()
    except JournalError as error:
        say(error.errno)


def mount(*arguments: str) -> None:
    """Mount, in the name space the test made for this program; say so where that is not allowed."""
    if subprocess.run(["mount", *arguments], check=False, stderr=subprocess.DEVNULL).returncode:
        say("refused")
        sys.exit()


def _fill(files: Files) -> None:
    count = 0
    try:
        while True:
            files.append(f"record {count}".encode())
            count += 1
    except JournalError as error:
        say(error.errno, count, files.log_bytes)


def _opened(path: str) -> tuple[Lease, Files]:
    lease = open_directory(path).free_slot()
    return lease, Files.open(lease)


if __name__ == "__main__":
    programs: dict[str, Callable[..., None]] = {
        "begin": begin,
        "race": race,
        "fork": fork,
        "fork_files": fork_files,
        "store": store,
        "limit_size": limit_size,
        "limit_files": limit_files,
        "fill_disk": fill_disk,
    }
    programs[sys.argv[1]](*sys.argv[2:])
