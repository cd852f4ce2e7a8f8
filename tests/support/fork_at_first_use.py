"""
A program that forks while another thread makes its first use of a database: ``python -m ... PATH``.

Rules that live here: hooks of a fork run in the reverse order of their registration. Ours is registered before anything
of coodie is imported, so it runs last: next to the fork itself, when every hook of coodie has been called.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any

BEFORE_FORK: list[Callable[[], Any]] = []
WRITES_S = 0.3  # a thread that can write begins at once; one that waits for the fork makes this one wait so long


def main(path: str) -> None:
    """Print the exit code of a grandchild that wrote: 7 where it was applied."""
    from coodie.drivers.sqlite import SQLiteDriver

    driver = SQLiteDriver(path)
    if os.fork() == 0:  # a child has no connections yet: its first use is the one that matters
        os._exit(_forking_at_first_use(driver))
    _, status = os.wait()
    print(os.waitstatus_to_exitcode(status), flush=True)


def _forking_at_first_use(driver: Any) -> int:
    from coodie.statement import APPLIED
    from tests.support.sqlite import ADD_VIEWS, write

    writing, forked = threading.Event(), threading.Event()
    thread = threading.Thread(target=_write, args=(driver, writing, forked))
    BEFORE_FORK.extend([thread.start, lambda: writing.wait(WRITES_S)])
    if os.fork() == 0:
        os._exit(7 if write(driver, [(ADD_VIEWS, (1, "/grandchild"))]) == [APPLIED] else 8)
    forked.set()
    thread.join()
    _, status = os.wait()
    return os.waitstatus_to_exitcode(status)


def _write(driver: Any, writing: threading.Event, forked: threading.Event) -> None:
    from coodie.drivers.sqlite.pool import transaction

    with driver._pool.writing() as connection, transaction(connection):
        writing.set()
        forked.wait()


if __name__ == "__main__":
    os.register_at_fork(before=lambda: [each() for each in BEFORE_FORK])
    main(sys.argv[1])
