"""A real process, killed at random instants, again and again: what was acknowledged is stored, once."""

from __future__ import annotations

import random
import signal
import time

import pytest

from tests.processes.tables import Account

SEED = 20_260_301
ROUNDS = 100  # of each kind of table: 200 in all
SIBLINGS = 30
CASSANDRA_ROUNDS = 6  # a victim needs a second to connect there
MOST_CALLS = 3000  # that a victim lives to make


class Killing:
    """One journal and one database, and victims that live for a moment."""

    def __init__(self, nursery, base, kind, cassandra=None):
        self.nursery = nursery
        self.account = Account(base / "account", 4)
        self.arguments = {"base": str(base), "kind": kind, "cassandra": cassandra}
        assert nursery.victim("prepare", **self.arguments).result() == "made"

    def born(self, seed, first=0):
        return self.nursery.victim("count", seed=seed, first=first, threads=2, **self.arguments)

    def kill(self, chance, *victims, least=0):
        """Kill at a random instant: while they start, or after a random number of calls."""
        before, wanted = self.account.calls(), chance.choice((0, 1, 10, 100, MOST_CALLS))
        wanted = max(chance.randrange(wanted + 1), least)
        deadline = time.monotonic() + 60
        while wanted and self.account.calls() - before < wanted:
            assert time.monotonic() < deadline, [victim.says.read_text() for victim in victims]
            time.sleep(0.0005)
        time.sleep(chance.random() * (0.002 if wanted else 0.05))
        for victim in victims:
            assert victim.end() == -signal.SIGKILL, victim.says.read_text()

    def judge(self, seed):
        """Have a process take over what is left, and compare the database with the account."""
        found = self.nursery.victim("check", **self.arguments).result()
        assert (found["remaining"], found["errors"], found["adopted"]) == (0, [], []), seed
        assert not any(found["refused"]), seed
        wrong = self.account.wrong(found["stored"], found["unknown"])
        assert not wrong, f"seed {seed}: {len(wrong)} wrong: {wrong[:5]}"
        return found


@pytest.mark.parametrize("kind", ["exact", "native"])
def test_what_was_acknowledged_is_stored_once_however_often_the_process_is_killed(nursery, tmp_path, kind, rounds):
    killing = Killing(nursery, tmp_path, kind)
    chance = random.Random(SEED)
    count = rounds(ROUNDS)
    for number in range(count):
        killing.kill(chance, killing.born(SEED + number))
        if number % 25 == 24 or number == count - 1:
            found = killing.judge(SEED + number)
            assert not any(found["unknown"])  # the embedded store knows what it applied


@pytest.mark.parametrize("kind", ["exact", "native"])
def test_siblings_that_are_killed_leave_to_the_living_what_they_had(nursery, tmp_path, kind, rounds):
    """There is always one alive, which looks for orphans all the time, and one that starts and leases what is free."""
    killing = Killing(nursery, tmp_path, kind)
    chance = random.Random(SEED)
    alive = killing.born(SEED, first=0)
    for number in range(1, rounds(SIBLINGS)):
        newer = killing.born(SEED + number, first=number % 2 * 2)
        killing.kill(chance, alive)
        alive = newer
    killing.kill(chance, alive)
    assert not any(killing.judge(SEED)["unknown"])


@pytest.mark.parametrize("kind", ["exact", "native"])
def test_the_same_on_a_cassandra(nursery, tmp_path, kind, rounds, cassandra, keyspace, cassandra_session):
    """Exact: equality but for calls cut short. Native: what was in flight at a death is unknown, and listed."""
    address = {"hosts": cassandra.hosts, "port": cassandra.port, "keyspace": keyspace}
    for table in ("hits", "days"):
        cassandra_session.execute(f"DROP TABLE IF EXISTS {keyspace}.{table}", timeout=60)
    killing = Killing(nursery, tmp_path, kind, address)
    chance = random.Random(SEED)
    for number in range(rounds(CASSANDRA_ROUNDS)):
        killing.kill(chance, killing.born(SEED + number), least=200)
    found = killing.judge(SEED)
    if kind == "exact":
        assert not any(found["unknown"])
