"""
What workers and agents of these tests do, as processes; see ``tests.processes.nursery``.

Rules that live here: a program that is to be killed runs for ever; one that is to tell something prints JSON last. The
buffers are far smaller than the tables, logs are written anew all the time, orphans are looked for at once.
"""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

from aggregator import Aggregator
from aggregator.agent import workers
from aggregator.agent.agent import Agent
from aggregator.journal import ledger
from aggregator.journal.directory import open_directory
from aggregator.journal.inspection import inspect
from coodie import connections
from coodie.plans import exact
from coodie.run import run
from tests.processes.programs import connect
from tests.processes.tables import Account, apart, models, steps, stored

SMALL = 60
"""Rows a worker may hold: of several hundred that it counts in."""


def leave_to_agent(base: str, kind: str, seed: int, thread: int, calls: int | None = None) -> None:
    """Count as a worker, without any connection: until killed, or so many calls and then until all is written."""
    ledger.LOG_BYTES = 1 << 14
    account, found = Account(Path(base, "account"), 4), models(kind)
    aggregator = Aggregator(mode="agent", journal=f"{base}/journal", max_keys=SMALL, flush_timeout=60.0).start()
    chance = random.Random(seed)
    for number, (table, row, deltas) in enumerate(steps(chance)):
        if number == calls:
            break
        account.increment(thread, found[table], table, row, deltas)
        if chance.random() < 0.0005:
            aggregator.flush(1.0)
    result, stats = aggregator.flush(), aggregator.stats()
    aggregator.shutdown()
    told = {"remaining": result.remaining, "errors": result.errors}
    print(json.dumps({**told, "applied": stats.applied, "accepted": stats.accepted, "increments": stats.increments}))


def be_agent(base: str, kind: str, cassandra: dict[str, Any] | None = None) -> None:
    """Be the agent, until killed."""
    workers.LOOK_S, ledger.LOG_BYTES = 0.02, 1 << 14
    connect(base, cassandra)
    Agent(journal=f"{base}/journal", flush_interval=0.01, max_keys=100).start()
    while True:
        time.sleep(60)


def end_agent(base: str, kind: str, cassandra: dict[str, Any] | None = None) -> None:
    """Be the agent until nothing is left to be written, and tell what is stored, what is apart and who wrote."""
    workers.LOOK_S = 0.0
    connect(base, cassandra)
    slots = open_directory(f"{base}/journal").within("workers")
    with Agent(journal=f"{base}/journal", flush_interval=None, max_keys=100) as agent:
        for _ in range(20):
            result = agent.flush()
            dirty = [slot.slot for slot in inspect(slots) if not slot.clean]
            if not dirty and not result.remaining:
                break
        told = {"remaining": result.remaining, "errors": result.errors, "dirty": dirty}
        told |= {"unknown": apart(agent.unknown()), "refused": apart(agent.rejected())}
    print(json.dumps({**told, "stored": stored(kind), "writers": _writers() if kind == "exact" else {}}))


def _writers() -> dict[str, list[str]]:
    """Return who has written rows of each exact table."""
    found = {}
    for name, model in models("exact").items():
        driver, table = connections.resolve(model)
        found[name] = list(run(exact.writers(table), driver))
    return found
