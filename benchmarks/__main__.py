"""
Ask the questions named (all, without names) and print the table: ``python -m benchmarks [--quick] [NAME ...]``.

Rules that live here:

* Each question runs in a process of its own, so that none inherits a heap, a compiled class or a patched module.
* ``RESULTS.md`` is written when every question was asked in full; a part, or a quick run, is only printed.
* The exit code says whether every question was answered (a missed figure is an answer), never how fast anything was.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from benchmarks.support import machine, report
from benchmarks.support.row import Row, not_run
from benchmarks.support.server import server

IN_MEMORY = (
    "increment",
    "threads",
    "locked",
    "aio_face",
    "key_count",
    "memory",
    "journal_increment",
    "recovery",
    "own_cost",
    "imports",
)
EMBEDDED = ("latency", "flush_sqlite", "flush_sqlite_busy", "agent", "intake")
UNDER_SERVERS = ("serving_fastapi", "serving_flask")
ON_CASSANDRA = (
    "flush_acsylla",
    "flush_cassandra",
    "latency_acsylla",
    "get_exact",
    "flush_exact_acsylla",
    "flush_exact_cassandra",
    "flush_exact_three",
    "read_acsylla",
    "read_cassandra",
)
QUESTIONS = (*IN_MEMORY, *EMBEDDED, *UNDER_SERVERS, *ON_CASSANDRA)


def main() -> int:
    """Ask, print, and write the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Questions: " + ", ".join(QUESTIONS))
    parser.add_argument("names", nargs="*", choices=[*QUESTIONS, []], metavar="NAME", help="a question; default: all")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: figures wobble more")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        sys.stdout.buffer.write(msgspec.json.encode(_measure(given.names[0], given.quick)))
        return 0
    names = [name for name in QUESTIONS if name in given.names] or list(QUESTIONS)
    before = machine.load()
    rows = _asked(names, given.quick)
    described = [
        *machine.described(),
        f"load average before {before}, after {machine.load()} (an idle machine: below 1)",
    ]
    report.show(rows, described)
    if names == list(QUESTIONS) and not given.quick:
        report.write(rows, described)
    return 0 if all(row.was_run for row in rows) else 1


def _measure(name: str, quick: bool) -> list[Row]:
    """Answer a question in this process."""
    rows: list[Row] = importlib.import_module(f"benchmarks.{name}").measure(quick)
    return rows


def _asked(names: Sequence[str], quick: bool) -> list[Row]:
    """Ask each question in a process of its own; those about Cassandra with a server, which then loads no other."""
    rows = [row for name in names if name not in ON_CASSANDRA for row in _ask(name, quick, {})]
    rest = [name for name in names if name in ON_CASSANDRA]
    if rest:
        with _server() as found:
            for name in rest:
                rows += _ask(name, quick, found) if isinstance(found, dict) else [not_run(name, found)]
    return rows


@contextmanager
def _server() -> Iterator[dict[str, str] | str]:
    """Give the environment that names a server, or why there is none."""
    from tests.support.cassandra import NotAvailable

    try:
        with server() as environment:
            yield environment
    except NotAvailable as missing:
        yield f"no Cassandra: {missing}"


def _ask(name: str, quick: bool, environment: dict[str, str]) -> list[Row]:
    """Run one question and return its rows; a question that fails is a row that says so."""
    print(f"{name} ...", flush=True)
    command = [sys.executable, "-m", "benchmarks", name, "--child", *(["--quick"] if quick else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, env={**os.environ, **environment}, check=False)
    if done.returncode:
        return [not_run(name, f"the question failed with exit code {done.returncode}; its error is printed above")]
    return msgspec.json.decode(done.stdout, type=list[Row])


if __name__ == "__main__":
    sys.exit(main())
