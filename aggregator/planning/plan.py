"""
The plan of a deployment: what its flushers write, and what follows from it.

Rules that live here: every process gets an equal share of the hits, so one flusher is simulated and counted as often
as there are. Figures are those of one table with one counter column and a database that answers; memory and losses are
upper bounds.
"""

from __future__ import annotations

import msgspec

from aggregator.config import Options
from aggregator.planning.losses import Loss, losses
from aggregator.planning.simulation import Flusher, Simulated, simulate
from aggregator.planning.zipf import Zipf

ROW_BYTES = 193
"""Of a process, for a row with two counters at the height of a flush: ``benchmarks/RESULTS.md``."""

JOURNAL_ROW_BYTES = 24 + 5 * (50 + 40)
"""Three numbers of a native column, and the log with a key of 40 bytes at its longest: ``docs/journal.md``."""

WRITE_RATE = 9_000
"""Rows a second that one process writes to Cassandra, the least that ``benchmarks/RESULTS.md`` has."""

HOT_ROWS_S = 1_000
"""Writes a second of one partition beyond which its replicas are likely to be what limits."""

_BUSY = 0.7
_EARLY = 0.85
_NEVER = 2**63


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """
    A deployment: ``rate`` hits a second in all, on ``hosts`` with ``workers`` processes each.

    ``keys``: rows that may be hit; ``zipf``: the exponent of their popularity; ``interval``: seconds between flushes;
    ``write_rate``: rows a second that one process can write.
    """

    rate: float
    keys: int
    zipf: float = 1.0
    hosts: int = 1
    workers: int = 1
    interval: float = 1.0
    max_batch_size: int = Options.max_batch_size
    max_keys: int = Options.max_keys
    journal: bool = False
    agent: bool = False
    write_rate: float = WRITE_RATE


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """
    The answer. Rates are a second and of all processes, but for those of a process; bytes are upper bounds.

    ``statements_error``: standard error of the simulation, as a share; ``cycle_s``: seconds between two flushes of one
    process in the mean; ``busy``: the share of its time in which a flusher writes; ``writers``: of one row of an exact
    table, at the most.
    """

    question: Question
    processes: int
    flushers: int
    process_rate: float
    statements_s: float
    statements_error: float
    coalescing: float
    cycle_s: float
    rows_per_flush: float
    hottest_rows_s: float
    busy: float
    process_bytes: int
    host_bytes: int
    host_journal_bytes: int
    writers: int
    is_possible: bool
    losses: list[Loss]
    notes: list[str]


def plan(question: Question, seed: int = 1) -> Plan:
    """
    Simulate a deployment and return its figures.

    Args:
        question: numbers above 0; the caller has checked them.
        seed: another one gives another sample of the same stream.
    """
    processes = question.hosts * question.workers
    flushers = question.hosts if question.agent else processes
    # Workers of an agent hold what it has no room for, and it is asked by its interval alone.
    batch, held = (_NEVER, question.max_keys * question.workers) if question.agent else (question.max_batch_size, None)
    flusher = Flusher(question.interval, Options.flush_jitter, batch, held or question.max_keys, question.write_rate)
    found = simulate(Zipf(question.keys, question.zipf), question.rate / flushers, flusher, seed)
    longest = max(question.interval * (1 + Options.flush_jitter), found.cycle_s)
    window = longest + found.rows_per_flush / question.write_rate
    rows = min(question.keys, question.max_keys)
    per_host = question.workers + question.agent
    return Plan(
        question=question,
        processes=processes,
        flushers=flushers,
        process_rate=question.rate / processes,
        statements_s=found.rows_s * flushers,
        statements_error=found.error,
        coalescing=question.rate / (found.rows_s * flushers),
        cycle_s=found.cycle_s,
        rows_per_flush=found.rows_per_flush,
        hottest_rows_s=found.hottest_rows_s * flushers,
        busy=found.busy,
        process_bytes=rows * ROW_BYTES,
        host_bytes=rows * ROW_BYTES * per_host,
        host_journal_bytes=rows * JOURNAL_ROW_BYTES * per_host if question.journal or question.agent else 0,
        writers=flushers,
        is_possible=not found.is_full,
        losses=losses(question.rate / processes, question.workers, window, question.journal, question.agent),
        notes=_notes(question, found, flushers),
    )


def _notes(question: Question, found: Simulated, flushers: int) -> list[str]:
    """Return a sentence for each thing that the figures alone do not make plain."""
    notes = []
    if found.is_full:
        notes.append(
            f"does not work: more than max_keys={question.max_keys:,} rows gather between two flushes of a process "
            f"that writes {question.write_rate:,.0f} a second, so callers wait; spread the hits over more processes, "
            "or have a database that takes more"
        )
    elif found.busy > _BUSY:
        notes.append(
            f"a flusher is writing {found.busy:.0%} of its time; flushes take longer than planned when the database "
            "is slower than --write-rate says"
        )
    if found.cycle_s < _EARLY * question.interval and not found.is_full:
        notes.append(
            f"max_batch_size={question.max_batch_size:,} makes a flush due after {found.cycle_s:.2f} s already; a "
            "larger one merges more and risks more"
        )
    if found.hottest_rows_s * flushers > HOT_ROWS_S:
        notes.append(
            f"{found.hottest_rows_s * flushers:,.0f} writes a second go to the hottest partition: a longer interval, "
            "or an agent on each host, makes them fewer"
        )
    return notes
