"""
The tables of ``docs/capacity.md``, by the planner.

Rules that live here: ``python -m tests.docs.capacity`` prints them, to be pasted; a test compares them with the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from aggregator.cli.plan import short
from aggregator.planning import Plan, Question, plan

KEYS = 1_000_000
MANY_OR_FEW = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
# Hits a second, hosts, workers on each.
DEPLOYMENTS = (
    (1_000, 1, 4),
    (10_000, 2, 8),
    (100_000, 10, 10),
    (1_000_000, 100, 10),
)
# What a row of a deployment is called, and its options.
WAYS = (
    ("defaults", {}),
    ("10 s, 100,000 rows", {"interval": 10.0, "max_batch_size": 100_000}),
    ("agent, 1 s", {"agent": True}),
    ("agent, 10 s", {"agent": True, "interval": 10.0}),
)
FOR_KEYS = (WAYS[0], WAYS[1], WAYS[3])
HEAD = (
    "hits/s",
    "processes",
    "flushes",
    "statements/s",
    "hits per statement",
    "hottest partition, rows/s",
    "busy",
    "lost: process killed",
    "lost: host gone",
)


def by_rate() -> str:
    """Return the table of deployments as Markdown."""
    return _table(HEAD, _rows())


def by_keys() -> str:
    """Return the table of one deployment with more and fewer keys, as Markdown."""
    rate, hosts, workers = DEPLOYMENTS[2]
    plans = [
        [plan(Question(rate=rate, keys=keys, hosts=hosts, workers=workers, **options)) for _, options in FOR_KEYS]
        for keys in MANY_OR_FEW
    ]
    head = ("keys", *(f"hits per statement: {way}" for way, _ in FOR_KEYS))
    rows = (" | ".join([f"{some[0].question.keys:,}", *(short(each.coalescing) for each in some)]) for some in plans)
    return _table(head, (f"| {row} |" for row in rows))


def _table(head: Sequence[str], rows: Iterable[str]) -> str:
    return "\n".join([f"| {' | '.join(head)} |", "|" + "---|" * len(head), *rows]) + "\n"


def _rows() -> Iterator[str]:
    for rate, hosts, workers in DEPLOYMENTS:
        for way, options in WAYS:
            found = plan(Question(rate=rate, keys=KEYS, hosts=hosts, workers=workers, **options))
            yield f"| {rate:,} | {hosts} x {workers} | {way} | {' | '.join(_figures(found))} |"


def _figures(found: Plan) -> Iterator[str]:
    yield short(found.statements_s)
    yield short(found.coalescing)
    yield short(found.hottest_rows_s)
    yield f"{found.busy:.0%}"
    losses = {loss.failure: short(loss.answering) for loss in found.losses}
    yield losses["a process is killed"]
    yield losses["a host is lost for good"]


if __name__ == "__main__":
    print(by_rate(), by_keys(), sep="\n", end="")
