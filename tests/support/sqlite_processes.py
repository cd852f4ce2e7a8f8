"""
Programs that use one SQLite file together with the test that starts them: ``python -m tests.support.sqlite_processes``.

Rules that live here: a program prints a line for each thing it has done, and waits for a line before it begins, so
tests order them by events and not by time.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
import sys
import threading
from collections.abc import Callable

from coodie.drivers.sqlite import SQLiteDriver, flush
from coodie.exceptions import ConfigurationError
from coodie.statement import APPLIED, Outcome
from tests.support.sqlite import ADD, ADD_VIEWS, HITS, make, totals, write

KEYS = [f"/{number}" for number in range(200)]


def say(*words: object) -> None:
    """Print one line at once."""
    print(*words, flush=True)


def wait() -> None:
    """Wait until the test writes a line, or is gone."""
    sys.stdin.readline()


def add(path: str, rounds: str) -> None:
    """Add 1 to every key in each of some rounds, saying each number that was applied."""
    say("ready")
    wait()
    driver = SQLiteDriver(path)
    make(driver, HITS)
    for number in range(1, int(rounds) + 1):
        outcomes = write(driver, [(ADD, (1, number, key)) for key in KEYS])
        assert set(outcomes) == {APPLIED}, {outcome.fate for outcome in outcomes}
        say(number)
    driver.close()


def mark(path: str, writer: str) -> None:
    """Add 1 to every key in flush after flush, each of several transactions, saying each number that was told."""
    flush.CHUNK_ROWS = 30  # seven transactions for the keys
    driver = SQLiteDriver(path)
    make(driver, HITS)
    say("ready")
    wait()
    for number in itertools.count(1):
        driver.execute_many([(ADD_VIEWS, (1, key)) for key in KEYS], 16, _ignore, mark=(writer, number))
        say(number)


def _ignore(index: int, outcome: Outcome, count: int = 1) -> None:
    assert outcome is APPLIED


def hold(path: str) -> None:
    """Hold the file's write lock until told to let go."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    say("held")
    wait()
    connection.execute("COMMIT")
    connection.close()


def fork(path: str) -> None:
    """Fork with an open driver that another thread writes through; child and parent write, the parent closes first."""
    driver = SQLiteDriver(path)
    make(driver, HITS)
    stop, writing = threading.Event(), threading.Event()
    thread = threading.Thread(target=_keep_writing, args=(driver, stop, writing))
    thread.start()
    writing.wait()
    from_child, to_child = os.pipe(), os.pipe()
    if os.fork() == 0:
        assert write(driver, [(ADD_VIEWS, (1, "/child"))]) == [APPLIED]
        os.write(from_child[1], b"!")
        os.read(to_child[0], 1)
        assert write(driver, [(ADD_VIEWS, (1, "/child"))]) == [APPLIED]
        sys.exit(7)  # ends the interpreter as a worker does: everything inherited is taken down
    os.read(from_child[0], 1)
    stop.set()
    thread.join()
    write(driver, [(ADD_VIEWS, (1, "/parent"))])
    driver.close()  # the last open connection of this process: SQLite would now unlink the log, were the child unknown
    os.write(to_child[1], b"!")
    _, status = os.wait()
    again = SQLiteDriver(path)
    found = totals(again)
    again.close()
    say(os.waitstatus_to_exitcode(status), found["/child"][0], found["/parent"][0])


def _keep_writing(driver: SQLiteDriver, stop: threading.Event, writing: threading.Event) -> None:
    while not stop.is_set():
        assert set(write(driver, [(ADD, (1, 1, key)) for key in KEYS])) == {APPLIED}
        writing.set()


def fork_memory() -> None:
    """Fork with a database in memory: the child may not use it, the parent goes on."""
    driver = SQLiteDriver(":memory:")
    make(driver, HITS)
    if os.fork() == 0:
        try:
            totals(driver)
        except ConfigurationError:
            sys.exit(7)
        sys.exit(1)
    _, status = os.wait()
    write(driver, [(ADD_VIEWS, (1, "/parent"))])
    say(os.waitstatus_to_exitcode(status), totals(driver)["/parent"][0])
    driver.close()


if __name__ == "__main__":
    programs: dict[str, Callable[..., None]] = {
        "add": add,
        "mark": mark,
        "hold": hold,
        "fork": fork,
        "fork_memory": fork_memory,
    }
    programs[sys.argv[1]](*sys.argv[2:])
