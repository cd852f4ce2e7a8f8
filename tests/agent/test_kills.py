"""Workers and the agent, killed at random instants, apart and together: what was acknowledged is stored, once."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.processes.nursery import Nursery, Victim
from tests.processes.tables import Account

SEED = 20_261_123
KILLS = 30  # of each kind of table
CASSANDRA_KILLS = 4


class Host:
    """One journal and one database, three workers and their agent."""

    def __init__(self, nursery: Nursery, base: Path, kind: str, cassandra: dict[str, Any] | None = None) -> None:
        self.nursery = nursery
        self.account = Account(base / "account", 4)
        self.of_workers: dict[str, Any] = {"base": str(base), "kind": kind}
        self.of_agents = {**self.of_workers, "cassandra": cassandra}
        assert nursery.victim("prepare", **self.of_agents).result() == "made"
        self.seed = SEED

    def worker(self, thread: int, calls: int | None = None) -> Victim:
        self.seed += 1
        return self.nursery.victim("leave_to_agent", seed=self.seed, thread=thread, calls=calls, **self.of_workers)

    def agent(self) -> Victim:
        return self.nursery.victim("be_agent", **self.of_agents)

    def wait_for(self, calls: int, *victims: Victim) -> None:
        """Wait until so many more calls have returned."""
        wanted, deadline = self.account.calls() + calls, time.monotonic() + 120
        while self.account.calls() < wanted:
            assert time.monotonic() < deadline, [victim.says.read_text() for victim in victims]
            time.sleep(0.0005)

    def judge(self) -> dict[str, Any]:
        """Have the last agent write what is left, and compare the database with the account."""
        found = self.nursery.victim("end_agent", **self.of_agents).result()
        assert (found["remaining"], found["errors"], found["dirty"]) == (0, [], []), found
        assert not any(found["refused"])
        wrong = self.account.wrong(found["stored"], found["unknown"])
        assert not wrong, f"{len(wrong)} wrong: {wrong[:5]}"
        return dict(found)


def kill(chance: random.Random, host: Host, *victims: Victim) -> None:
    """Kill after a random number of calls: none, which is while it starts, or more than fit into the buffers."""
    host.wait_for(chance.choice((0, 1, 30, 300, 1500)), *victims)
    time.sleep(chance.random() * 0.03)
    for victim in victims:
        assert victim.end() == -signal.SIGKILL, victim.says.read_text()


@pytest.mark.parametrize("kind", ["exact", "native"])
def test_what_was_acknowledged_is_stored_once_whoever_is_killed(
    nursery: Nursery, tmp_path: Path, kind: str, rounds: Any
) -> None:
    """Workers start before any agent; then the agent, a worker, or both are killed, again and again."""
    host, chance = Host(nursery, tmp_path, kind), random.Random(SEED)
    workers = [host.worker(thread) for thread in range(3)]
    agent = host.agent()
    for _ in range(rounds(KILLS)):
        whom = chance.choice(("agent", "agent", "worker", "both"))
        at = chance.randrange(3)
        kill(chance, host, *([agent] if whom != "worker" else []), *([workers[at]] if whom != "agent" else []))
        if whom != "agent":
            workers[at] = host.worker(at)
        if whom != "worker":
            agent = host.agent()
    host.wait_for(1000, agent, *workers)
    kill(chance, host, agent, *workers)
    found = host.judge()
    assert not any(found["unknown"])  # the embedded store knows what it applied
    if kind == "exact":
        assert [len(writers) for writers in found["writers"].values()] == [1, 1]


def test_the_same_on_a_cassandra(
    nursery: Nursery, tmp_path: Path, rounds: Any, cassandra: Any, keyspace: str, cassandra_session: Any
) -> None:
    address = {"hosts": cassandra.hosts, "port": cassandra.port, "keyspace": keyspace}
    for table in ("hits", "days"):
        cassandra_session.execute(f"DROP TABLE IF EXISTS {keyspace}.{table}", timeout=60)
    host, chance = Host(nursery, tmp_path, "exact", address), random.Random(SEED)
    workers = [host.worker(thread) for thread in range(3)]
    for number in range(rounds(CASSANDRA_KILLS)):
        agent = host.agent()
        host.wait_for(300, agent, *workers)
        kill(chance, host, agent, *workers[: number % 2])
        workers[: number % 2] = [host.worker(thread) for thread in range(number % 2)]
    for victim in workers:
        assert victim.end() == -signal.SIGKILL, victim.says.read_text()
    found = host.judge()
    assert not any(found["unknown"])
    assert [len(writers) for writers in found["writers"].values()] == [1, 1]
