"""Whose a slot is, between real processes: orphans that many want, owners that are stopped, copies."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time

import pytest

from tests.processes.tables import Account

SEED = 20_260_304
RACERS, ORPHANS, ROUNDS = 8, 3, 6
pytestmark = pytest.mark.parametrize("kind", ["native", "exact"])


class Field:
    """A database, an account, and processes that share a journal."""

    def __init__(self, nursery, folder, kind):
        self.folder = folder
        self.account = Account(folder / "account", 4)
        self.arguments = {"base": str(folder), "kind": kind}
        self.nursery = nursery
        nursery.victim("prepare", **self.arguments).result()

    def holder(self, thread, number=200, **more):
        """Give a process that has counted and written nothing."""
        before = self.account.calls()
        victim = self.nursery.victim("hold", **self.arguments, seed=SEED + before, thread=thread, number=number, **more)
        deadline = time.monotonic() + 60
        while self.account.calls() - before < number:
            assert time.monotonic() < deadline, victim.says.read_text()
            time.sleep(0.001)
        return victim

    def adopters(self, number, gate="gate"):
        return [self.nursery.victim("adopt", gate=str(self.folder / gate), **self.arguments) for _ in range(number)]

    def go(self, adopters, gate="gate"):
        """Let them start all at once; return the slots they leased for themselves."""
        (self.folder / gate).touch()
        return [adopter.result() for adopter in adopters]

    def check(self, **more):
        found = self.nursery.victim("check", **self.arguments, **more).result()
        assert (found["remaining"], found["errors"], found["adopted"]) == (0, [], [])
        assert not any(found["unknown"])
        return found["stored"]


@pytest.fixture
def field(nursery, tmp_path, kind):
    return Field(nursery, tmp_path, kind)


def test_of_many_processes_that_want_an_orphan_one_writes_it(field, rounds):
    """Matrix row 20. Some find it free at their start and go on in it, the others look for it as siblings."""
    for number in range(rounds(ROUNDS)):
        holders = [field.holder(thread) for thread in range(ORPHANS)]
        adopters = field.adopters(RACERS, f"gate-{number}")
        for holder in holders:
            assert holder.end() == -signal.SIGKILL
        field.go(adopters, f"gate-{number}")
        assert field.account.wrong(field.check()) == []


def test_a_stopped_owner_keeps_its_slot(field):
    """Matrix row 21."""
    owner = field.holder(0)
    os.kill(owner.pid, signal.SIGSTOP)
    slots = field.go(field.adopters(3))
    assert 0 not in slots
    assert not any(field.check())
    os.kill(owner.pid, signal.SIGCONT)
    assert owner.end(signal.SIGUSR1) == 0
    assert field.account.wrong(field.check()) == []


def test_a_copied_journal_is_set_aside_and_nothing_of_it_is_stored_twice(field):
    """Matrix row 23: both are run, the copy first."""
    assert field.holder(0).end() == -signal.SIGKILL
    original, copy = field.folder / "journal", field.folder / "copy"
    shutil.copytree(original, copy, symlinks=True)
    copy.chmod(0o700)
    assert not any(field.check(journal="copy"))
    assert (copy / "slot-0000.corrupt-1").is_dir()
    assert field.account.wrong(field.check()) == []
    assert field.account.wrong(field.check(journal="copy")) == []
    assert not list(original.glob("*.corrupt-*"))


def test_a_copy_of_a_living_owner_s_journal_is_set_aside_too(field):
    owner = field.holder(0)
    shutil.copytree(field.folder / "journal", field.folder / "copy")
    (field.folder / "copy").chmod(0o700)
    again = field.holder(1, journal="copy")
    for victim in random.Random(SEED).sample([owner, again], 2):
        assert victim.end(signal.SIGUSR1) == 0
    assert field.account.wrong(field.check()) == []
