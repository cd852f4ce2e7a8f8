"""Increments from odd places, loops that end, tasks that are cancelled, databases that hang: no deadlock, no loss."""

from __future__ import annotations

import pytest

from tests.processes.interrupting import CALLS, SOURCES
from tests.processes.tables import CELLS, Account

SEED = 20_260_305
FORMS = [("native", False), ("native", True), ("exact", False), ("exact", True)]
every_form = pytest.mark.parametrize(("kind", "journal"), FORMS)


@pytest.fixture
def run(nursery, tmp_path, kind):
    """Give a function that runs a program to a good end; it returns what the program said last."""
    arguments = {"base": str(tmp_path), "kind": kind}
    nursery.victim("prepare", **arguments).result()
    return lambda program, **more: nursery.victim(program, **arguments, **more).result()


def counted(told):
    found = [0] * CELLS
    for place, units in told.items():
        found[int(place)] = units
    return found


def check(run):
    found = run("check")
    assert (found["remaining"], found["errors"], found["adopted"]) == (0, [], [])
    return found


@every_form
@pytest.mark.parametrize("source", SOURCES)
def test_increments_from_odd_places_neither_hang_nor_get_lost(run, journal, source):
    told = run("interrupted", journal=journal, source=source)
    assert sum(told.values()) >= CALLS
    assert check(run)["stored"] == counted(told)


@every_form
def test_an_exception_of_a_signal_handler_ends_its_call_and_harms_no_other(run, tmp_path, journal, rounds):
    """The call that it cuts short may count or not."""
    run("cut_short", journal=journal, cuts=rounds(1000), seed=SEED)
    account = Account(tmp_path / "account", 1)
    wrong = account.wrong(check(run)["stored"])
    assert not wrong, f"{len(wrong)} wrong: {wrong[:5]}"


@every_form
def test_loops_that_end_and_tasks_that_are_cancelled_lose_nothing(run, journal, rounds):
    """A call that was cancelled while it waited for room had not returned: it may count or not."""
    told = run("loops", journal=journal, rounds=rounds(10), seed=SEED)
    stored, least = check(run)["stored"], counted(told)
    assert all(found >= units for found, units in zip(stored, least, strict=True))
    assert sum(stored) - sum(least) <= 10 * 9 * rounds(10) / 10  # as many as were cancelled


@pytest.mark.parametrize("kind", ["native", "exact"])
@pytest.mark.parametrize("ending", ["shutdown", "end", "asyncio"])
def test_a_database_that_hangs_does_not_keep_the_process_and_the_next_start_has_the_rest(nursery, run, kind, ending):
    told = run("hanging", ending=ending)
    assert sum(told.values()) == 50
    found = check(run)
    assert not any(found["unknown"])  # the embedded store knows that nothing of it was applied
    assert found["stored"] == counted(told)
