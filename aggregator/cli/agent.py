"""
``aggregator agent``: the process that writes for all workers of a host.

Rules that live here: it runs in the foreground until SIGTERM or Ctrl-C, then writes what there is and ends. The service
manager is told that it is ready once its store is open, and that it lives as long as its flusher does its rounds.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from aggregator.agent.agent import Agent
from aggregator.cli.agent_intake import Address, AllowUid, IntakeOptions, Tables, TokenFile
from aggregator.cli.connection import Connection, Database, Driver, Hosts, Keyspace, Port
from aggregator.cli.failure import NOT_STORED, USAGE, Failure
from aggregator.cli.interrupt import Interrupt
from aggregator.cli.notify import notify, watchdog_s
from aggregator.cli.store import StoreOptions, connected, describe
from aggregator.cli.terminal import say
from aggregator.exceptions import ConfigurationError

if TYPE_CHECKING:
    from aggregator.agent.intake import Intake

LOOK_S = 1.0
"""How often the command looks at its flusher, at the least."""


def agent(
    journal: Annotated[str, typer.Option(metavar="DIR", help="Directory of the journal, the workers' own.")],
    database: Database = None,
    hosts: Hosts = None,
    port: Port = None,
    keyspace: Keyspace = None,
    driver: Driver = None,
    connection: Connection = "default",
    flush_interval: Annotated[
        float | None, typer.Option(min=0.001, metavar="S", help="Seconds between two rounds (1).", show_default=False)
    ] = None,
    status: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Status endpoint: HOST:PORT or the path of a socket.")
    ] = None,
    intake: Address = None,
    tables: Tables = None,
    intake_token_file: TokenFile = None,
    allow_uid: AllowUid = None,
) -> None:
    """
    Write what all workers of this host count.

    Workers are processes with Aggregator(journal=DIR, mode="agent"): they only journal, and need no connection. The
    agent moves what they counted into a slot of its own, merges it across them, and writes it. Killed at any instant,
    it or they, nothing is lost and nothing counted twice. Other options come from AGGREGATOR_<OPTION>, as in an
    application.

    What the options of the store leave out comes from COODIE_HOSTS, COODIE_PORT, COODIE_KEYSPACE, COODIE_DRIVER and
    COODIE_DATABASE; with nothing at all the store is the file coodie.db.

    Exit code: 0 all was written at the end; 1 something was not (it stays in the journal), or the store was not
    reached; 2 usage.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
    clients = IntakeOptions(intake, tables, intake_token_file, allow_uid).checked()
    choice = StoreOptions(hosts, port, keyspace, driver, database).choice()
    given = {"flush_interval": flush_interval, "status": status}
    options = {name: value for name, value in given.items() if value is not None}
    try:
        running = Agent(journal=journal, **options)
    except ConfigurationError as error:
        raise Failure(str(error), USAGE) from error
    with Interrupt() as interrupt, connected(choice, connection):
        running.start()
        _gather(running, clients, interrupt, f"agent of {journal}, writing to {describe(choice)}")


def _gather(running: Agent, clients: IntakeOptions, interrupt: Interrupt, greeting: str) -> None:
    """Write for all until the end is asked for, and then what there is; ``Failure`` where something remains."""
    intake = None
    try:
        intake = clients.serve(running)
        say(greeting)
        _run(running, intake, interrupt)
    finally:
        notify("STOPPING=1")
        if intake is not None:
            intake.stop()
        result = running.shutdown()
        if intake is not None:
            intake.close()
    if result is not None and result.remaining:
        raise Failure(
            f"{result.remaining:,} units are not written, and stay in the journal: {'; '.join(result.errors)}",
            NOT_STORED,
        )


def _run(running: Agent, intake: Intake | None, interrupt: Interrupt) -> None:
    """Wait for the end, and tell the service manager that the rounds are made; ``Failure`` where nobody is served."""
    notify("READY=1")
    within = watchdog_s()
    while not interrupt.asked:
        interrupt.sleep(LOOK_S if within is None else min(LOOK_S, within / 4))
        if intake is not None and not intake.is_serving():
            raise Failure("the intake has ended by itself (the log says why): start the agent anew; nothing is lost")
        if running.is_making_rounds():
            notify("WATCHDOG=1")
