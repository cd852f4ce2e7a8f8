"""
``aggregator plan``: what a deployment will write, hold and may lose, before it is built.

Rules that live here: nothing is connected to and nothing is read; figures that people see have three digits, those of
``--json`` all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, TypeAlias

import msgspec
import typer

from aggregator.cli.failure import USAGE, Failure
from aggregator.cli.terminal import say, say_wrapped, show_columns, show_table
from aggregator.config import Options
from aggregator.planning import Plan, Question
from aggregator.planning import plan as planned
from aggregator.planning.losses import AWAY_S
from aggregator.planning.plan import WRITE_RATE

_KEYS_MAX = 10**12
_MILLIONS = ((1e12, "T"), (1e9, "G"), (1e6, "M"))


Rate: TypeAlias = Annotated[float, typer.Option(metavar="R", help="Hits a second, in all.")]
Keys: TypeAlias = Annotated[int, typer.Option(min=1, max=_KEYS_MAX, metavar="K", help="Rows that may be hit.")]
Zipf: TypeAlias = Annotated[
    float, typer.Option(min=0, max=10, metavar="S", help="Exponent of their popularity; 0: all alike.")
]
Hosts: TypeAlias = Annotated[int, typer.Option(min=1, max=100_000, metavar="H", help="Hosts.")]
Workers: TypeAlias = Annotated[int, typer.Option(min=1, max=10_000, metavar="W", help="Worker processes on each host.")]
Interval: TypeAlias = Annotated[float, typer.Option(max=86_400, metavar="I", help="Seconds between flushes.")]
BatchSize: TypeAlias = Annotated[
    int, typer.Option(min=1, metavar="N", help="Dirty rows that make a flush due before the interval is over.")
]
MaxKeys: TypeAlias = Annotated[int, typer.Option(min=1, metavar="N", help="Rows that a process holds at the most.")]
WriteRate: TypeAlias = Annotated[
    float, typer.Option(metavar="N", help="Rows a second that one process can write to the database.")
]


def plan(
    rate: Rate,
    keys: Keys,
    zipf: Zipf = 1.0,
    hosts: Hosts = 1,
    workers: Workers = 1,
    interval: Interval = 1.0,
    journal: Annotated[bool, typer.Option("--journal", help="Each host has a journal.")] = False,
    agent: Annotated[bool, typer.Option("--agent", help="Each host has a journal, and an agent that writes.")] = False,
    max_batch_size: BatchSize = Options.max_batch_size,
    max_keys: MaxKeys = Options.max_keys,
    write_rate: WriteRate = WRITE_RATE,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """
    Plan a deployment: statements, memory and worst losses, by a simulated stream of keys.

    Simulates the hits that reach one process, to keys by Zipf's law, and its flushes; every process gets an equal
    share. Says statements a second in all, how many of them go to the hottest partition, hits per statement, memory,
    and what is lost at worst when something dies. Real sites have an exponent between 0.7 and 1.2.

    Exit code: 0 done; 1 the deployment would not keep up; 2 usage.
    """
    _refuse_zero(rate=rate, interval=interval, write_rate=write_rate)
    if max_batch_size > max_keys:
        raise Failure(f"--max-batch-size {max_batch_size} is more than --max-keys {max_keys}", USAGE)
    found = planned(
        Question(
            rate=rate,
            keys=keys,
            zipf=zipf,
            hosts=hosts,
            workers=workers,
            interval=interval,
            max_batch_size=max_batch_size,
            max_keys=max_keys,
            journal=journal,
            agent=agent,
            write_rate=write_rate,
        )
    )
    if as_json:
        say(msgspec.json.encode(found).decode())
    else:
        _print(found)
    if not found.is_possible:
        raise Failure(found.notes[0])


def _refuse_zero(**numbers: float) -> None:
    for name, value in numbers.items():
        if not 0 < value < float("inf"):
            raise Failure(f"--{name.replace('_', '-')} {value:g} is not allowed: a number above 0", USAGE)


def _print(found: Plan) -> None:
    asked = found.question
    hosts = "1 host" if asked.hosts == 1 else f"{asked.hosts:,} hosts"
    workers = "1 worker" if asked.workers == 1 else f"{asked.workers:,} workers"
    keys = f"{short(asked.rate)} hits/s, {asked.keys:,} keys (Zipf {asked.zipf:g})"
    show_table(f"{keys}, {hosts} x {workers}{' and an agent' if asked.agent else ''}", _figures(found))
    say("")
    head = ("hits lost at worst when", "database answers", f"after {AWAY_S:g} s without it")
    show_columns(head, [(loss.failure, short(loss.answering), short(loss.away)) for loss in found.losses])
    for note in found.notes if found.is_possible else found.notes[1:]:
        say_wrapped(f"note: {note}")


def _figures(found: Plan) -> Iterator[tuple[str, object]]:
    each = "agent" if found.question.agent else "process"
    # The mean lies within twice the standard error of it nineteen times in twenty.
    yield "statements/s in all", f"{short(found.statements_s)} (+-{2 * found.statements_error:.1%})"
    yield "hits per statement", short(found.coalescing)
    yield "rows/s of the hottest partition", short(found.hottest_rows_s)
    yield f"a flush of one {each}", f"{short(found.rows_per_flush)} rows every {short(found.cycle_s)} s"
    yield f"share of its time that {'an' if each == 'agent' else 'a'} {each} writes", f"{found.busy:.1%}"
    yield "hits/s of one process", short(found.process_rate)
    yield "memory of its rows, at most", _bytes(found.process_bytes)
    yield "memory of a host's rows, at most", _bytes(found.host_bytes)
    if found.host_journal_bytes:
        yield "journal of a host, at most", _bytes(found.host_journal_bytes)
    yield "rows for each key of an exact table", f"at most {found.writers:,}"


def short(number: float) -> str:
    """Return a number with three digits, or all of those before its point, as people read it."""
    for size, unit in _MILLIONS:
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _bytes(number: int) -> str:
    return f"{short(number)}B" if number >= 1e6 else f"{number / 1e3:,.0f} kB"
