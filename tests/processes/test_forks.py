"""Forks at any instant: nobody hangs, nothing is counted twice, and what a child counts is its own."""

from __future__ import annotations

import pytest

from tests.processes.forking import THREADS
from tests.processes.tables import Account

SEED = 20_260_302
FORMS = [("native", False), ("native", True), ("exact", False), ("exact", True)]
every_form = pytest.mark.parametrize(("kind", "journal"), FORMS)


class Base:
    """One database, one account, and the process that reads what is stored."""

    def __init__(self, nursery, folder, kind):
        self.account = Account(folder / "account", THREADS + 2)
        self.arguments = {"base": str(folder), "kind": kind}
        self._nursery = nursery
        self.run("prepare")

    def run(self, program, **more):
        return self._nursery.victim(program, **self.arguments, **more).result()

    def judge(self):
        found = self.run("check")
        assert (found["remaining"], found["errors"], found["adopted"]) == (0, [], [])
        assert not any(found["unknown"])
        assert all(least == most for least, most in self.account.bounds()), "a call did not return"
        wrong = self.account.wrong(found["stored"])
        assert not wrong, f"{len(wrong)} wrong: {wrong[:5]}"
        assert self.account.calls() >= 500


@pytest.fixture
def base(nursery, tmp_path, kind):
    return Base(nursery, tmp_path, kind)


@every_form
def test_forks_while_threads_count_and_the_flusher_runs(base, journal, rounds):
    assert base.run("fork_under_load", journal=journal, rounds=rounds(12), seed=SEED) == 0
    base.judge()


@every_form
def test_forks_in_a_callback_of_the_flusher(base, journal, rounds):
    assert base.run("fork_in_callback", journal=journal, rounds=rounds(5), seed=SEED) == 0
    base.judge()


@pytest.mark.parametrize(
    ("method", "kind", "journal"),
    [
        *(("fork", *form) for form in FORMS),
        ("spawn", "native", False),
        ("spawn", "exact", True),
        ("forkserver", "native", True),
    ],
)
def test_children_and_pools_of_multiprocessing(base, journal, method):
    assert base.run("processes", journal=journal, method=method, seed=SEED) == 0
    base.judge()
