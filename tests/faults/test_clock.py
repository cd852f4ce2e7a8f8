"""
A wall clock that steps back, and ahead: timestamps only rise, and one far ahead of the database's is never used.

Native tables carry no timestamps of ours, and do not care.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aggregator import Aggregator, machine
from tests.support import field
from tests.support.load import quiesce
from tests.support.proxy import Proxy

if TYPE_CHECKING:
    from cassandra.cluster import Session

    from tests.support.cassandra import Server

HOUR, TEN_YEARS = 3600, 10 * 365 * 24 * 3600


class Clock:
    """The wall clock, ``ahead`` seconds out."""

    ahead = 0

    def __call__(self) -> int:
        return time.time_ns() // 1000 + self.ahead * 1_000_000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(machine, "now_us", made)
    return made


@pytest.mark.parametrize("kind", field.KINDS)
@pytest.mark.parametrize("driver", field.DRIVERS)
def test_a_clock_that_steps_loses_nothing(
    cassandra: Server, cassandra_session: Session, keyspace: str, tmp_path: Path, clock: Clock, driver: str, kind: str
) -> None:
    expected = 0
    with Proxy(cassandra.hosts[0], cassandra.port) as proxy, field.one(driver, kind, proxy, keyspace) as hits:
        for number, ahead in enumerate((0, -HOUR, HOUR, 0, TEN_YEARS, 0)):  # each in a life of its own, and in the next
            clock.ahead = ahead
            with Aggregator(flush_interval=None, journal=tmp_path / "journal") as running:
                for step in (0, -HOUR):
                    clock.ahead = ahead + step
                    hits(url="/hit").increment(views=10**number)
                    expected += 10**number
                    result = running.flush()
                    if kind == "exact" and clock.ahead > 0:
                        assert result.applied == 0
                        assert "ahead of the database's" in result.errors[0]
                    else:
                        assert result.remaining == 0, result
        with Aggregator(flush_interval=None, journal=tmp_path / "journal") as running:
            hits(url="/hit").increment(views=1)
            quiesce(running)
            assert running.unknown() == []
        found = field.stored(cassandra_session, f"{keyspace}.{hits.Settings.name}", "")
        assert found == {"/hit": expected + 1}
