"""
``aggregator replay``: count the requests of access logs as page hits, and say what became of each.

Rules that live here: everything that can be wrong with the call or the store is found before the first hit is counted
(exit code 2, or 1 where the store was not reached; nothing stored). From then on what was good is stored whatever
happens: a broken input, an interrupt, a failing worker end the counting, never the storing, and give exit code 1.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

from aggregator.api import Aggregator
from aggregator.cli.access_log import batches
from aggregator.cli.counting import Tally, count_all
from aggregator.cli.failure import USAGE, Failure
from aggregator.cli.inputs import Source, opened
from aggregator.cli.interrupt import Interrupt
from aggregator.cli.report import Report
from aggregator.cli.store import StoreOptions, connected, describe, page_hits, prepare
from aggregator.cli.terminal import bytes_progress
from aggregator.cli.verification import Verification
from aggregator.exceptions import AggregatorError, ConfigurationError
from coodie.exceptions import CoodieError
from coodie.sync import CounterDocument


def replay(
    logs: Annotated[list[str], typer.Argument(metavar="LOG", help="Access log, plain or gzip; - is standard input.")],
    table: Annotated[str, typer.Option(metavar="NAME", help="Table of the hits, created if missing.")] = "page_hits",
    database: Annotated[
        str | None, typer.Option(metavar="FILE", help="Store the hits in this file, an embedded SQLite store.")
    ] = None,
    hosts: Annotated[
        str | None, typer.Option(metavar="H,H", help="Store the hits on these hosts of a Cassandra or ScyllaDB.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, metavar="P", help="Port of the hosts.")] = None,
    keyspace: Annotated[str | None, typer.Option(metavar="K", help="Keyspace on the hosts; it must exist.")] = None,
    driver: Annotated[
        str | None, typer.Option(metavar="D", help="Driver: cassandra, scylla, acsylla or sqlite.")
    ] = None,
    counters: Annotated[str, typer.Option(metavar="KIND", help="Kind of counter table: native or exact.")] = "native",
    flush_interval: Annotated[
        float | None, typer.Option(metavar="S", help="Seconds between flushes.  [default: 1]")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, max=64, metavar="N", help="Threads that parse and count, into one aggregator.")
    ] = 1,
    verify: Annotated[bool, typer.Option("--verify", help="Read each row before and after, and compare.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")] = False,
) -> None:
    """
    Count the requests in access logs as page hits.

    Reads the common and the combined format. Each request adds 1 to the views of its url; the aggregator merges the
    hits, so that a flush writes one statement for each url it touches. Lines without a request are counted as bad and
    never stop the rest. Ctrl-C stores what was counted until then.

    What the options of the store leave out comes from COODIE_HOSTS, COODIE_PORT, COODIE_KEYSPACE, COODIE_DRIVER and
    COODIE_DATABASE; with nothing at all the store is the file coodie.db. AGGREGATOR_* variables set the aggregator's
    options.

    Exit code: 0 done; 1 something was not stored, read or reached; 2 usage.
    """
    if counters not in ("native", "exact"):
        raise Failure(f"--counters {counters!r} is no kind of table: native or exact", USAGE)
    choice = StoreOptions(hosts, port, keyspace, driver, database).choice()
    model, aggregator = page_hits(table, counters), _aggregator(flush_interval)
    with opened(logs) as sources, Interrupt() as interrupt, connected(choice):
        prepare(model)
        report = _replay(model, aggregator, sources, workers, interrupt, verify=verify)
    report.print(describe(choice), table, as_json=as_json)
    report.raise_failures()


def _aggregator(flush_interval: float | None) -> Aggregator:
    """Return the aggregator of this run; a bad option, or environment variable, is a usage error."""
    try:
        return Aggregator() if flush_interval is None else Aggregator(flush_interval=flush_interval)
    except ConfigurationError as error:
        raise Failure(str(error), USAGE) from error


def _start(aggregator: Aggregator) -> None:
    """Start; a journal that cannot be opened is a usage error, before anything is counted."""
    try:
        aggregator.start()
    except AggregatorError as error:
        raise Failure(str(error), USAGE) from error


def _replay(
    model: type[CounterDocument],
    aggregator: Aggregator,
    sources: Sequence[Source],
    workers: int,
    interrupt: Interrupt,
    *,
    verify: bool,
) -> Report:
    """Count, flush, compare; return what there is to say."""
    _start(aggregator)
    began = time.monotonic()
    tally, verification = Tally(), Verification(model) if verify else None
    document: Any = model
    with aggregator:
        lines = interrupt.watch(batches(_chunks(sources)))  # in this order: a line cut by a signal was not read
        announce = verification.announce if verification else lambda urls: None
        count_all(lines, lambda url: document(url=url).increment(views=1), workers, announce, into=tally)
        if isinstance(tally.error, ConfigurationError) and not tally.hits:
            raise Failure(str(tally.error), USAGE)  # found only at the first hit: an option and a driver do not agree
        aggregator.flush()
    elapsed = time.monotonic() - began
    report = Report(tally, aggregator.stats(), elapsed, is_interrupted=interrupt.asked)
    report.faults.extend(source.fault for source in sources if source.fault)
    if verification:
        _compare(report, verification)
    return report


def _compare(report: Report, verification: Verification) -> None:
    """Fill in the outcome of ``--verify``."""
    try:
        report.differences = verification.differences(report.tally.urls)
    except (CoodieError, AggregatorError) as error:
        report.faults.append(f"the rows could not be read back: {error}")
        report.differences = None
    report.is_verified = report.differences == {}


def _chunks(sources: Sequence[Source]) -> Iterator[bytes]:
    """Read one input after the other behind a progress bar; the end of an input ends its last line."""
    sizes = [source.size for source in sources]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    with bytes_progress() as progress:
        task = progress.add_task("reading", total=total)
        for source in sources:
            last = b"\n"
            for chunk in source.chunks(lambda count: progress.advance(task, count)):
                last = chunk[-1:] or last
                yield chunk
            if last != b"\n":
                yield b"\n"
