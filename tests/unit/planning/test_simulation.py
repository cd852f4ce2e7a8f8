"""The simulated stream is the one that Zipf's law and the flusher make."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from aggregator.flusher import background
from aggregator.planning import Question, plan, simulation
from aggregator.planning.losses import losses
from aggregator.planning.plan import ROW_BYTES, WRITE_RATE
from aggregator.planning.simulation import Flusher, simulate
from aggregator.planning.zipf import HEAD, Zipf

ROOT = Path(__file__).parents[3]
NEVER = 10**9  # rows that make a flush due by their number


def shares(keys: int, s: float) -> list[float]:
    weights = [rank**-s for rank in range(1, keys + 1)]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def expected_rows(keys: int, s: float, hits: float) -> float:
    """How many different keys so many hits of a Poisson stream touch, key by key."""
    return math.fsum(-math.expm1(-hits * share) for share in shares(keys, s))


@pytest.mark.parametrize("s", [0, 0.7, 1, 1.3])
def test_the_shares_are_those_of_the_law(s: float) -> None:
    exact, law = shares(50_000, s), Zipf(50_000, s)
    assert law.head == pytest.approx(exact[:HEAD], rel=1e-6)
    assert law.tail == pytest.approx(math.fsum(exact[HEAD:]), rel=1e-6)
    for rank in (3_000, 10_000, 40_000):
        chance = math.fsum(exact[HEAD:rank]) / law.tail
        assert law.tail_rank(chance) == pytest.approx(rank + 0.5, rel=1e-4)


@pytest.mark.parametrize("s", [0, 1])
def test_few_keys_have_no_curve(s: float) -> None:
    assert Zipf(3, s).tail == 0
    assert Zipf(3, s).head == pytest.approx(shares(3, s))


@pytest.mark.parametrize(
    ("keys", "s", "hits"), [(300, 0.8, 700), (50_000, 1, 2_000), (50_000, 0, 3_000), (200_000, 1.2, 30_000)]
)
def test_rows_touched_are_those_expected(keys: int, s: float, hits: float) -> None:
    found = simulate(Zipf(keys, s), hits, Flusher(1.0, 0.0, NEVER, NEVER, 1e12), seed=1)
    assert found.cycle_s == pytest.approx(1.0)
    assert found.rows_per_flush == pytest.approx(expected_rows(keys, s, hits), rel=4 * found.error + 0.001)
    assert found.error < 0.01


def test_a_thinned_stream_touches_as_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    flusher = Flusher(1.0, 0.0, NEVER, NEVER, 1e12)
    monkeypatch.setattr(simulation, "HITS_DRAWN", 1_000)
    thinned = simulate(Zipf(200_000, 1), 20_000, flusher, seed=1)
    assert thinned.rows_per_flush == pytest.approx(expected_rows(200_000, 1, 20_000), rel=4 * thinned.error)


def test_many_dirty_rows_make_a_flush_due_at_the_next_look() -> None:
    found = simulate(Zipf(10**6, 0), 4_000, Flusher(1.0, 0.1, 500, NEVER, 1e12), seed=1)
    assert found.cycle_s == pytest.approx(0.15, abs=0.01)  # 500 rows after 0.125 s
    assert simulation.LOOK_S == background.LOOK_S


def test_hits_that_come_while_a_flush_writes_are_the_next_ones() -> None:
    found = simulate(Zipf(10**6, 0), 5_000, Flusher(1.0, 0.0, NEVER, NEVER, 10_000), seed=1)
    assert found.cycle_s == pytest.approx(2.0, rel=0.02)  # t = 1 + 5000 t / 10000
    assert found.busy == pytest.approx(0.5, rel=0.02)


def test_the_hottest_row_is_written_once_a_flush() -> None:
    found = simulate(Zipf(1_000, 1), 1_000, Flusher(0.5, 0.1, NEVER, NEVER, 1e12), seed=1)
    assert found.hottest_rows_s == pytest.approx(2.0, rel=0.02)


def test_a_plan_adds_up() -> None:
    found = plan(Question(rate=100_000, keys=100_000, hosts=10, workers=10))
    assert (found.processes, found.flushers, found.process_rate) == (100, 100, 1_000)
    assert found.coalescing == pytest.approx(100_000 / found.statements_s)
    assert found.hottest_rows_s == pytest.approx(100 / found.cycle_s, rel=0.05)
    assert found == plan(Question(rate=100_000, keys=100_000, hosts=10, workers=10))
    assert found.statements_s == pytest.approx(
        plan(Question(rate=100_000, keys=100_000, hosts=10, workers=10), seed=2).statements_s,
        rel=6 * found.statements_error,
    )


def test_an_agent_merges_the_hits_of_its_host() -> None:
    alone, agent = (plan(Question(rate=8_000, keys=300, hosts=2, workers=8, agent=agent)) for agent in (False, True))
    assert (alone.writers, agent.writers) == (16, 2)
    assert agent.statements_s < alone.statements_s / 2
    assert agent.hottest_rows_s == pytest.approx(alone.hottest_rows_s / 8, rel=0.1)


def test_more_than_can_be_written_is_no_plan() -> None:
    found = plan(Question(rate=1_000_000, keys=10**7, workers=1))
    assert not found.is_possible
    assert found.notes[0].startswith("does not work: more than max_keys=100,000 rows")
    assert (found.statements_s, found.busy) == (WRITE_RATE, 1.0)


@pytest.mark.parametrize(
    ("journal", "agent", "expected"),
    [
        (False, False, [(1_100, 61_100), (4_400, 244_400), (4_400, 244_400)]),
        (True, False, [(0, 0), (4_400, 244_400), (4_400, 120_000), (20, 20)]),
        (True, True, [(0, 0), (0, 0), (4_400, 244_400), (4_400, 120_000), (20, 20)]),
    ],
)
def test_losses_are_the_windows_of_the_delivery_page(
    journal: bool, agent: bool, expected: list[tuple[float, float]]
) -> None:
    found = losses(1_000, 4, 1.1, journal, agent)
    assert [(loss.answering, loss.away) for loss in found] == [pytest.approx(pair) for pair in expected]


def test_what_is_assumed_is_what_was_measured() -> None:
    results = (ROOT / "benchmarks/RESULTS.md").read_text()
    in_bytes = max(map(int, re.findall(r"\| (\d+) / \d+ bytes a row", results)))
    rates = [
        int(rate.replace(",", "")) for rate in re.findall(r"flush of 50,000 rows, .*?\(([\d,]+) rows/s\)", results)
    ]
    assert pytest.approx(in_bytes, rel=0.1) == ROW_BYTES
    assert pytest.approx(min(rates), rel=0.5) == WRITE_RATE
    assert "rate x 30 s" in (ROOT / "docs/delivery.md").read_text()
