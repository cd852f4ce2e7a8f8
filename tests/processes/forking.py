"""
Processes that fork while they count; see ``nursery`` for how they are started.

Rules that live here: a hang ends the process that hangs, with the stacks of its threads; every program counts in the
account under thread numbers of its own, so nobody's note is lost.
"""

from __future__ import annotations

import faulthandler
import json
import multiprocessing
import os
import random
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from aggregator import Aggregator, orphans
from tests.processes.programs import connect
from tests.processes.tables import Account, models, steps

HANG_S = 40
THREADS = 4
CHILD, GRANDCHILD = THREADS, THREADS + 1  # their numbers in the account


class Counting:
    """An aggregator, an account, and threads that count until they are stopped."""

    def __init__(self, base: str, kind: str, *, journal: bool, seed: int, **options: Any) -> None:
        watch(HANG_S)
        orphans.LOOK_S = 0.05
        connect(base)
        self.account = Account(Path(base, "account"), THREADS + 2)
        self.models = models(kind)
        self.seed = seed
        path = f"{base}/journal" if journal else None
        chosen = {"flush_interval": 0.003, "max_keys": 100, "max_batch_size": 50, "journal": path} | options
        self.aggregator = Aggregator(**chosen).start()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(thread,)) for thread in range(THREADS)]

    def _run(self, thread: int) -> None:
        chance = random.Random(self.seed + thread)
        while not self._stop.is_set():
            self.some(thread, chance, 50)

    def some(self, thread: int, chance: random.Random, number: int) -> None:
        """Make some increments."""
        found = steps(chance)
        for _ in range(number):
            table, row, deltas = next(found)
            self.account.increment(thread, self.models[table], table, row, deltas)

    def __enter__(self) -> Counting:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()


def watch(seconds: int) -> None:
    """Have the process die with the stacks of all its threads unless it ends in time. A child begins its own watch."""
    faulthandler.register(signal.SIGALRM, chain=True)
    signal.alarm(seconds)


def waited(pid: int) -> None:
    """Wait for a child and let its failure be ours."""
    _pid, status = os.waitpid(pid, 0)
    assert status == 0, f"the child ended with {os.waitstatus_to_exitcode(status)}"


def fork_under_load(base: str, kind: str, journal: bool, rounds: int, seed: int) -> None:
    """Fork again and again while four threads count; each child counts too, and ends in one way or another."""
    chance = random.Random(seed)
    ways = ["shutdown", "exit", "nothing", "grandchild", "scope"] + ["_exit"] * journal
    counting = Counting(base, kind, journal=journal, seed=seed)
    with counting:
        for number in range(rounds):
            way = ways[number % len(ways)]
            threading.Event().wait(chance.random() * 0.004)
            if way == "scope":
                with counting.aggregator.request():
                    counting.some(CHILD, chance, 5)
                    pid = os.fork()
                    if not pid:
                        counting.some(GRANDCHILD, chance, 5)
                        return watch(HANG_S // 2)  # leaves the scope, which is the parent's
                waited(pid)
                continue
            pid = os.fork()
            if not pid:
                watch(HANG_S // 2)
                return child(counting, way, chance)
            waited(pid)
    print(json.dumps(counting.aggregator.shutdown().remaining))
    return None


def child(counting: Counting, way: str, chance: random.Random) -> None:
    """Count, and end: by the interpreter's own exit where this returns."""
    if way == "nothing":
        assert threading.active_count() == 1
        opened = [os.path.realpath(each) for each in Path("/proc/self/fd").iterdir()]
        assert not [each for each in opened if "/journal/" in each], "a lease would outlive the parent"
        os._exit(0)
    counting.some(CHILD, chance, 20)
    if way == "grandchild":
        pid = os.fork()
        if not pid:
            watch(HANG_S // 2)
            counting.some(GRANDCHILD, chance, 20)
            return
        counting.some(CHILD, chance, 20)
        waited(pid)
    elif way == "shutdown":
        assert counting.aggregator.shutdown().remaining == 0
        os._exit(0)
    elif way == "_exit":
        os._exit(0)


def fork_in_callback(base: str, kind: str, journal: bool, rounds: int, seed: int) -> None:
    """Fork on the flusher's own thread, in ``on_flush``."""
    chance, done = random.Random(seed), threading.Event()
    left = [rounds]

    def forks(_result: Any) -> None:
        if left[0] and os.getpid() == parent:
            left[0] -= 1
            pid = os.fork()
            if not pid:
                watch(HANG_S // 2)
                try:
                    counting.some(CHILD, chance, 20)
                    assert counting.aggregator.shutdown().remaining == 0
                except BaseException:
                    sys.excepthook(*sys.exc_info())
                    os._exit(1)
                os._exit(0)
            waited(pid)
        if not left[0]:
            done.set()

    parent = os.getpid()
    counting = Counting(base, kind, journal=journal, seed=seed, on_flush=forks)
    with counting:
        assert done.wait(HANG_S)
    print(json.dumps(counting.aggregator.shutdown().remaining))


# --- multiprocessing --------------------------------------------------------------------------------------------


def work(base: str, kind: str, journal: bool, thread: int, seed: int) -> int:
    """Count in a child of multiprocessing, which inherits an aggregator or starts its own."""
    global _own
    if _own is None:
        _own = Counting(base, kind, journal=journal, seed=seed) if _inherited is None else _inherited
    _own.some(thread, random.Random(seed), 300)
    return os.getpid()


_own: Counting | None = None
_inherited: Counting | None = None


def processes(base: str, kind: str, journal: bool, method: str, seed: int) -> None:
    """Count in children of multiprocessing: processes that end by themselves, then a pool that is closed."""
    global _inherited
    _inherited = Counting(base, kind, journal=journal, seed=seed)
    context = multiprocessing.get_context(method)
    children = [
        context.Process(target=work, args=(base, kind, journal, thread, seed + thread))
        for thread in (CHILD, GRANDCHILD)
    ]
    _inherited.some(0, random.Random(seed), 300)
    for each in children:
        each.start()
    for each in children:
        each.join()
        assert each.exitcode == 0, each.exitcode
    with context.Pool(3) as pool:
        pids = pool.starmap(
            work, [(base, kind, journal, 1 + number, seed + number) for number in range(3)], chunksize=1
        )
        assert len(pids) == 3
        if not journal:  # else the pool's SIGTERM ends the workers, and the journal keeps what they had
            pool.close()
            pool.join()
    print(json.dumps(_inherited.aggregator.shutdown().remaining))
