"""
``aggregator doctor``: look at everything a deployment stands on, and say what to change.

Rules that live here: one thing that is wrong does not keep the others from being looked at. Nothing is changed, made or
written, in the database or on the disk.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from aggregator.cli import doctor_database, doctor_exact, doctor_journal
from aggregator.cli.connection import Connection, Database, Driver, Hosts, Keyspace, Port
from aggregator.cli.doctor_checks import FINDING, Check, Checks, finding, ok, skipped
from aggregator.cli.doctor_status import status
from aggregator.cli.failure import USAGE, Failure
from aggregator.cli.stats_source import directories
from aggregator.cli.store import StoreOptions, connected, describe
from aggregator.cli.terminal import say, show_checks
from aggregator.journal.bell import AGENT
from aggregator.journal.directory import WORKERS, Directory
from aggregator.journal.inspection import inspect
from coodie.connections import driver_of
from coodie.drivers.choice import Choice
from coodie.schema import Table, table_of

_STORE = ("COODIE_HOSTS", "COODIE_KEYSPACE", "COODIE_DRIVER", "COODIE_DATABASE")


def doctor(
    database: Database = None,
    hosts: Hosts = None,
    port: Port = None,
    keyspace: Keyspace = None,
    driver: Driver = None,
    connection: Connection = "default",
    journal: Annotated[
        str | None, typer.Option(metavar="DIR", envvar="AGGREGATOR_JOURNAL", help="Directory of the journal.")
    ] = None,
    url: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="Status endpoint of running processes; may be repeated.")
    ] = None,
    models: Annotated[
        list[str] | None, typer.Option(metavar="MODULE:CLASS", help="A model whose table is compared; may be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """
    Look at what a deployment stands on, and say what to change.

    The database: is it reached, does its clock agree, are the tables as the models have them. The journal: its rights,
    file system and space, what dead processes left, whether each live one has a flusher. Exact tables: rows of too many
    writers, rows that were emptied or changed by others. Running processes: their state, by --url. What is not named is
    not looked at; COODIE_* and AGGREGATOR_JOURNAL name things as for the application. Run it as the application's user.

    Exit code: 0 nothing was found; 1 something was; 2 usage.
    """
    choice = _choice(StoreOptions(hosts, port, keyspace, driver, database))
    classes = [_model(name) for name in models or ()]
    found = list(_checks(choice, connection, journal, url or [], classes))
    findings = sum(check.result == FINDING for check in found)
    if as_json:
        say(msgspec.json.encode({"findings": findings, "checks": found}).decode())
    else:
        show_checks((check.check, check.result, check.text, check.change) for check in found)
    if findings:
        raise Failure("1 finding" if findings == 1 else f"{findings} findings")


def _choice(options: StoreOptions) -> Choice | None:
    """Return the store that is named; None where none is."""
    choice = options.choice()
    is_named = options != StoreOptions() or any(os.environ.get(name) for name in _STORE)
    return choice if is_named or Path(choice.database).exists() else None


def _model(name: str) -> Any:
    module, _, cls = name.partition(":")
    sys.path.insert(0, str(Path.cwd()))  # as `python -m` would find it
    try:
        found = getattr(import_module(module), cls)
        table_of(found)
    except Exception as error:
        raise Failure(f"--models {name}: {type(error).__name__}: {error}; MODULE:CLASS of a model", USAGE) from error
    finally:
        sys.path.pop(0)
    return found


def _checks(
    choice: Choice | None, connection: str, journal: str | None, urls: list[str], models: list[Any]
) -> Iterator[Check]:
    known: list[Directory] = []
    if journal is None:
        yield skipped("journal", "none named (--journal)")
    else:
        yield from _journal(Path(journal), known)
    if choice is None:
        yield skipped("connection", "no store named (--hosts, --database or COODIE_*)")
    else:
        yield from _store(choice, connection, known, models)
    for url in urls:
        yield from status(url)
    if not urls:
        yield skipped("status", "no running process named (--url)")


def _journal(path: Path, known: list[Directory]) -> Checks:
    """Check a journal; ``known`` is filled with its directories if it can be read."""
    place = list(doctor_journal.place(path))
    yield from place
    if any(check.result == FINDING for check in place):
        return
    known += directories(str(path))
    contents = {each.path.name: inspect(each) for each in known}
    yield from doctor_journal.disk(path, sum(slot.log_bytes for content in contents.values() for slot in content))
    for each in known:
        yield from doctor_journal.slots(each, is_agents=each is not known[0])
    yield from doctor_journal.processes(inspect(known[0]))
    yield from doctor_journal.no_agent(contents.get(AGENT, []), contents.get(WORKERS, []))


def _store(choice: Choice, connection: str, known: list[Directory], models: list[Any]) -> Checks:
    where = describe(choice)
    if choice.module == "sqlite" and not Path(choice.database).exists():
        yield finding("connection", f"{where}: there is no such file", "give the application's --database")
        return
    began = time.monotonic()
    try:
        with connected(choice, connection):
            yield ok("connection", f"{where} answers after {time.monotonic() - began:.1f} s")
            yield from _inside(driver_of(connection), connection, known, models)
    except Failure as failure:
        yield finding("connection", str(failure), "see to the hosts, the port, the keyspace and the way there")


def _inside(driver: Any, connection: str, known: list[Directory], models: list[Any]) -> Checks:
    yield doctor_database.clock(driver)
    fitting = []
    for model in models:
        checks = list(doctor_database.shape(model))
        yield from checks
        fitting += [] if any(check.result == FINDING for check in checks) else [model]
    if not models:
        yield skipped("table", "no model named (--models MODULE:CLASS)")
    for table in _exact_tables(driver, connection, known, fitting):
        yield doctor_exact.writers(driver, table)
    yield from doctor_exact.stored(driver, known, connection)


def _exact_tables(driver: Any, connection: str, known: list[Directory], models: list[Any]) -> list[Table]:
    tables = doctor_exact.exact_tables(known, connection)
    for model in models:
        table = table_of(model)
        if table.counters == "exact":
            qualified = table.qualified(table.keyspace or driver._default_keyspace) if driver.needs_keyspace else table
            tables[qualified.full_name] = qualified
    return list(tables.values())
