"""
Checks of a journal: its directory, the file system under it, its slots and the processes that have them.

Rules that live here: nothing is made, leased for longer than an instant, or changed. What the kernel does not tell
(another kind of system, a container's other processes) is passed over.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from aggregator.cli.doctor_checks import Checks, finding, ok
from aggregator.exceptions import JournalError
from aggregator.journal.directory import Directory, open_directory
from aggregator.journal.inspection import SlotContent, inspect, set_aside

FREE_MIN_BYTES = 16 * 2**20
_LOG_TIMES = 5  # what a log may grow to while it is rewritten
_REMOTE = ("nfs", "cifs", "smb", "9p", "ceph", "fuse.", "gluster", "lustre", "afs")
_PROC = Path("/proc")


def place(path: Path) -> Checks:
    """Check the directory: is it there, whose is it, may it be written."""
    if not path.exists():
        made = path.parent.is_dir() and os.access(path.parent, os.W_OK | os.X_OK)
        change = "nothing, if no process has counted yet: it is made at start()" if made else "make its parent first"
        yield finding("journal", f"{path} is not there", change)
    elif not (path / "host").exists():
        yield finding("journal", f"{path} holds no journal", "give the directory of Aggregator(journal=...)")
    else:
        try:
            open_directory(path)
        except JournalError as error:
            text, _, change = str(error).partition("; ")
            yield finding("journal", text, change or "run doctor as the user that runs the application")
            return
        if os.access(path, os.W_OK | os.X_OK):
            yield ok("journal", f"{path} is ours alone (0700) and may be written")
        else:
            yield finding("journal", f"{path} may not be written", f"chmod 700 {path}; is it mounted read-only?")


def disk(path: Path, log_bytes: int) -> Checks:
    """Check the file system of a directory: its kind, and the space that is left."""
    yield from judged(path, file_system(path, _read(_PROC / "self" / "mountinfo")))
    free = os.statvfs(path)
    left, needed = free.f_bavail * free.f_frsize, max(FREE_MIN_BYTES, _LOG_TIMES * log_bytes)
    said = f"{left / 2**20:,.0f} MiB are free, {needed / 2**20:,.0f} MiB should be"
    if left < needed:
        yield finding("space", said, "free some, or new rows are refused when it is full (nothing accepted is lost)")
    else:
        yield ok("space", said)


def judged(path: Path, kind: str) -> Checks:
    """Say whether a journal may be on a file system of this kind."""
    if kind.startswith(_REMOTE):
        text = f"{path} is on {kind}: flock and mapped files mean something else there"
        yield finding("file system", text, "put the journal on a local disk")
    elif kind == "overlay":
        text = f"{path} is in the layer of a container, which dies with it"
        yield finding("file system", text, "mount a volume for the journal, one for each host")
    elif kind in ("tmpfs", "ramfs"):
        text = f"{path} is on {kind}: it outlives a process, and no restart of the machine"
        yield finding("file system", text, "put the journal on a disk, or accept this")
    else:
        yield ok("file system", f"{path} is on {kind or 'a file system the kernel does not name'}")


def file_system(path: Path, mounts: str) -> str:
    """Return the kind of file system a path is on, by the text of ``mountinfo``; empty where that does not say."""
    best, kind = -1, ""
    for line in mounts.splitlines():
        facts, _, rest = line.partition(" - ")
        point = facts.split(" ")[4].encode().decode("unicode_escape")  # blanks are written as \040
        if path.resolve().is_relative_to(point) and len(point) >= best:  # of two at one point the later lies on top
            best, kind = len(point), rest.split(" ")[0]
    return kind


def slots(directory: Directory, *, is_agents: bool = False) -> Checks:
    """Check what the slots hold: what is left of the dead, what is set apart, what cannot be read."""
    found = inspect(directory)
    for slot in found:
        yield from _slot(slot, directory, is_agents=is_agents)
    for name in set_aside(directory):
        text = f"{name} was set aside: it could not be trusted, and what it held is not counted"
        yield finding("slots", text, f"see `aggregator journal inspect {directory.path}`, then move it away")
    alive = sum(slot.alive for slot in found)
    yield ok("slots", f"{directory.path}: {len(found)}, {alive} of live processes")


def _slot(slot: SlotContent, directory: Directory, *, is_agents: bool) -> Checks:
    name = f"slot {slot.slot}"
    if slot.error is not None:
        yield finding("slots", f"{name} cannot be read: {slot.error}", "the next process sets it aside and goes on")
        return
    if slot.origin == "copy" and not slot.alive:
        yield finding("slots", f"{name} was written elsewhere: this is a copy", "delete it if its owner lives on")
        return
    rows = sum(max(table.rows_pending, table.folding) for table in slot.tables)
    if rows and not slot.alive:
        recover = f"aggregator journal recover {directory.path} (or start the application)"
        change = "start the agent: it takes them over" if is_agents else recover
        yield finding("slots", f"{name}: its process is gone and left {rows:,} rows that are not written", change)
    for what in ("unknown", "rejected"):
        if count := sum(len(getattr(table, what)) for table in slot.tables):
            yield finding("slots", f"{name}: {count:,} {what} rows wait for a decision", "aggregator unknown list")


def processes(found: Iterable[SlotContent]) -> Checks:
    """Check that each process that has a slot can have a flusher of its own."""
    owners = [slot.pid for slot in found if slot.alive and slot.pid is not None]
    threads = {pid: _status(pid, "Threads") for pid in owners}
    for pid in (pid for pid, count in threads.items() if count == 1):
        yield finding(
            "processes",
            f"process {pid} has one thread, so no flusher runs: it writes at the end of requests alone",
            "let the server have threads (uWSGI: enable-threads = true), and start the aggregator in the worker, "
            "after the fork",
        )
    parents = {_status(pid, "PPid") for pid in owners} & set(owners)
    if owners:
        forked = f"; {len(parents)} forked others: started before the fork, which works" if parents else ""
        yield ok("processes", f"{len(owners)} with a slot each{forked}")


def no_agent(agent: Iterable[SlotContent], workers: Iterable[SlotContent]) -> Checks:
    """Check that somebody writes what workers only journal."""
    if any(slot.alive for slot in workers) and not any(slot.alive for slot in agent):
        text = "processes in mode='agent' are counting, and no agent runs: nothing is written"
        yield finding("agent", text, "start `aggregator agent` on this host, with this journal")


def _status(pid: int, name: str) -> int | None:
    """Return a number the kernel tells of a process; None where it does not."""
    for line in _read(_PROC / str(pid) / "status").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
