"""The stream of statements over cassandra-driver, without one: answers come when the test says, from where it says."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from coodie.drivers.batches import Parcel
from coodie.drivers.cassandra.fanout import Fanout, Sender
from coodie.exceptions import ConfigurationError, TableRejected
from coodie.statement import Fate, Outcome, Raw, Statement

FIRST, SECOND = Statement(Raw("first")), Statement(Raw("second"))
Item = tuple[Statement, tuple[Any, ...]]


class Server:
    """Answers on a thread of its own, as the client's event loop does, or at once in the sender's."""

    def __init__(self, *, at_once: bool = False) -> None:
        self.at_once = at_once
        self.prepared: dict[int, str] = {}
        self.in_flight_max = 0
        self._waiting: list[tuple[Fanout, Parcel]] = []
        self._news = threading.Condition()
        self._over = False
        self._thread = threading.Thread(target=self._answer, daemon=True)

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._news:
            self._over = True
            self._news.notify()
        self._thread.join()

    def ready(self, template: Statement) -> Sender | None:
        return self.send if id(template) in self.prepared else None

    def prepare(self, template: Statement) -> Sender:
        assert threading.current_thread() is not self._thread, "preparing would wait for its own thread"
        if template.cql == "refused":
            raise TableRejected("no such table")
        self.prepared[id(template)] = threading.current_thread().name
        return self.send

    def send(self, run: Fanout, parcel: Parcel) -> None:
        if self.at_once:
            run.applied(None, parcel)
            return
        with self._news:
            self._waiting.append((run, parcel))
            self.in_flight_max = max(self.in_flight_max, len(self._waiting))
            self._news.notify()

    def _answer(self) -> None:
        while True:
            with self._news:
                while not self._waiting and not self._over:
                    self._news.wait()
                if not self._waiting:
                    return
                run, parcel = self._waiting.pop()
            run.applied(None, parcel)


def told_by(server: Server, work: Iterator[Item], limit: int) -> dict[int, Outcome]:
    told: dict[int, Outcome] = {}

    def settle(index: int, outcome: Outcome) -> None:
        assert index not in told, "told twice"
        told[index] = outcome

    Fanout(work, limit, settle, server.ready, server.prepare).run()
    return told


@pytest.mark.parametrize("limit", [1, 7, 10_000])
def test_every_item_is_told_once_and_never_more_than_the_limit_are_in_flight(limit: int) -> None:
    with Server() as server:
        told = told_by(server, ((FIRST, (number,)) for number in range(5_000)), limit)
    assert sorted(told) == list(range(5_000))
    assert {outcome.fate for outcome in told.values()} == {Fate.APPLIED}
    assert server.in_flight_max <= limit


def test_answers_that_come_while_sending_do_not_deepen_the_stack() -> None:
    with Server(at_once=True) as server:
        assert len(told_by(server, ((FIRST, ()) for _ in range(100_000)), 10)) == 100_000


def test_a_template_that_is_not_prepared_goes_to_the_callers_thread() -> None:
    with Server() as server:
        work = ((FIRST if number < 50 or number % 2 else SECOND, ()) for number in range(200))
        assert len(told_by(server, work, 5)) == 200
    assert set(server.prepared.values()) == {threading.current_thread().name}


def test_a_template_that_cannot_be_prepared_is_tried_once_in_a_row() -> None:
    refused = Statement(Raw("refused"), (), lambda shape: "refused")
    tries: list[Statement] = []

    with Server() as server:
        preparing = server.prepare

        def prepare(template: Statement) -> Sender:
            tries.append(template)
            return preparing(template)

        server.prepare = prepare  # type: ignore[method-assign]  # watched, not changed
        told = told_by(server, ((refused, ()) for _ in range(1_000)), 10)
    assert {outcome.fate for outcome in told.values()} == {Fate.REJECTED}
    assert len(told) == 1_000
    assert len(tries) == 1


def test_a_template_with_wrong_options_is_refused_wherever_it_is_met() -> None:
    def ready(template: Statement) -> Sender | None:
        if template is SECOND:
            raise ConfigurationError("no such consistency")
        return server.send

    with Server() as server:
        server.ready = ready  # type: ignore[method-assign]  # watched, not changed
        told = told_by(server, ((SECOND if number % 3 else FIRST, ()) for number in range(300)), 4)
    assert [told[index].fate for index in range(3)] == [Fate.APPLIED, Fate.NOT_APPLIED, Fate.NOT_APPLIED]
    assert len(told) == 300


def test_what_the_iterator_raises_comes_last() -> None:
    def work() -> Iterator[Item]:
        for _ in range(20):
            yield FIRST, ()
        raise LookupError("the end")

    told: list[int] = []
    with Server() as server, pytest.raises(LookupError, match="the end"):
        Fanout(work(), 3, lambda index, outcome: told.append(index), server.ready, server.prepare).run()
    assert sorted(told) == list(range(20))
