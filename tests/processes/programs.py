"""
What victims do; see ``nursery``.

Rules that live here: a program that is to be killed runs for ever; one that is to tell something prints JSON last.
"""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import cassandra.cluster  # noqa: F401 - what victims need is imported before they are forked

import coodie.drivers.cassandra
import coodie.drivers.sqlite  # noqa: F401 - likewise
from aggregator import Aggregator, orphans
from aggregator.journal import ledger
from coodie.sync import init_coodie
from tests.processes.tables import Account, apart, models, steps, stored


def connect(base: str, cassandra: dict[str, Any] | None = None) -> None:
    """Connect to the embedded store in a folder, or to a Cassandra."""
    if cassandra is None:
        init_coodie(driver_type="sqlite", database=f"{base}/hits.db")
    else:
        init_coodie(driver_type="cassandra", **cassandra)


def prepare(base: str, kind: str, cassandra: dict[str, Any] | None = None) -> None:
    """Make the tables."""
    connect(base, cassandra)
    for model in models(kind).values():
        model.sync_table()
    print(json.dumps("made"))


def count(base: str, kind: str, seed: int, first: int, threads: int, cassandra: dict[str, Any] | None = None) -> None:
    """Count from some threads, numbered from ``first``, until killed; the buffer is far smaller than the tables."""
    orphans.LOOK_S = 0.02
    ledger.LOG_BYTES = 1 << 14  # the log is written anew all the time
    connect(base, cassandra)
    account = Account(Path(base, "account"), 4)
    found = models(kind)
    aggregator = Aggregator(flush_interval=0.004, max_keys=100, max_batch_size=50, journal=f"{base}/journal").start()

    def run(thread: int) -> None:
        chance = random.Random(seed + thread)
        for table, row, deltas in steps(chance):
            account.increment(thread, found[table], table, row, deltas)
            if chance.random() < 0.0005:
                aggregator.flush()

    workers = [threading.Thread(target=run, args=(thread,)) for thread in range(first, first + threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def check(base: str, kind: str, cassandra: dict[str, Any] | None = None, journal: str = "journal") -> None:
    """Write everything the journal holds, its orphans included, and tell what is stored and what is set apart."""
    connect(base, cassandra)
    with Aggregator(flush_interval=None, journal=f"{base}/{journal}") as aggregator:
        results = [aggregator.flush() for _ in range(2)]
        machine = aggregator._machine
        assert machine is not None
        unknown, refused = apart(aggregator.unknown()), apart(aggregator.rejected())
        told = {"remaining": results[-1].remaining, "errors": results[-1].errors}
        left = sorted(machine.orphans._adopted)
    print(json.dumps({**told, "stored": stored(kind), "unknown": unknown, "refused": refused, "adopted": left}))


def hold(base: str, kind: str, seed: int, thread: int, number: int, journal: str = "journal") -> None:
    """Count without ever flushing, then wait: for a kill, or for SIGUSR1, which ends it as a script ends."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])  # before there are threads that could take it
    connect(base)
    account, found = Account(Path(base, "account"), 4), models(kind)
    Aggregator(flush_interval=None, journal=f"{base}/{journal}").start()
    for _, (table, row, deltas) in zip(range(number), steps(random.Random(seed)), strict=False):
        account.increment(thread, found[table], table, row, deltas)
    signal.sigwait([signal.SIGUSR1])


def adopt(base: str, kind: str, gate: str, journal: str = "journal") -> None:
    """Start when the gate opens, together with others, look for orphans, write what is found, and tell which slots."""
    orphans.LOOK_S = 0.0
    connect(base)
    while not Path(gate).exists():
        time.sleep(0.0005)
    with Aggregator(flush_interval=0.001, journal=f"{base}/{journal}") as aggregator:
        machine = aggregator._machine
        assert machine is not None
        assert machine.keeping is not None
        assert aggregator.flush().remaining == 0
        slot = machine.keeping.lease.slot
    print(json.dumps(slot))
