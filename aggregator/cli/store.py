"""
Where ``aggregator replay`` stores: the connection and the table, checked before the first hit is counted.

Rules that live here:

* Options win over the environment (``COODIE_*``), as in ``init_coodie``; with neither it is the embedded store in
  ``coodie.db``.
* The keyspace must exist. The table is created if missing; one that exists must be of the kind that was asked for, with
  ``url`` (text) as its whole key and ``views`` as a counter, and is not altered.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Annotated

from aggregator.cli.failure import USAGE, Failure, in_one_line
from coodie.connections import resolve
from coodie.cql import render
from coodie.drivers.choice import Choice, choose
from coodie.exceptions import CoodieError
from coodie.fields import Counter, PrimaryKey
from coodie.statement import ReadColumns, Statement
from coodie.sync import CounterDocument, init_coodie

_TABLE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,47}")  # 48 is Cassandra's limit


@dataclass(frozen=True)
class StoreOptions:
    """The options that name a store, as they were given."""

    hosts: str | None = None
    port: int | None = None
    keyspace: str | None = None
    driver: str | None = None
    database: str | None = None

    def choice(self) -> Choice:
        """Return the store these options and the environment mean, or raise ``Failure`` (usage)."""
        self._refuse_both()
        given = {"hosts": self.hosts, "session": None, "keyspace": self.keyspace, "port": self.port}
        given |= {"driver_type": self.driver, "database": self.database}
        try:
            choice = choose(given, os.environ, native_async=False)
        except (CoodieError, ImportError) as error:
            raise Failure(str(error), USAGE) from error
        if choice.module != "sqlite" and not choice.keyspace:
            raise Failure("a server needs --keyspace (or COODIE_KEYSPACE), and it must exist", USAGE)
        return choice

    def _refuse_both(self) -> None:
        """Refuse options of a server beside those of the embedded store."""
        of_server = [f"--{name}" for name in ("hosts", "port", "keyspace") if getattr(self, name) is not None]
        embedded = "--database" if self.database is not None else "--driver sqlite"
        if (self.database is not None or self.driver == "sqlite") and of_server:
            raise Failure(f"{embedded} is the embedded store and {of_server[0]} a server: give one of them", USAGE)
        if self.database is not None and self.driver not in (None, "sqlite"):
            raise Failure(f"--database is the embedded store and --driver {self.driver} a server's", USAGE)


def describe(choice: Choice) -> str:
    """Return the words by which a summary names a store."""
    if choice.module == "sqlite":
        return str(choice.database)
    hosts = ",".join(str(host) for host in choice.hosts or ())
    port = f":{choice.port}" if choice.port else ""
    return f"{choice.keyspace} at {hosts}{port} ({choice.module})"


@contextmanager
def connected(choice: Choice, name: str = "default") -> Iterator[None]:
    """Open the store for the time of the context, under a connection's name, or raise ``Failure``."""
    embedded = choice.module == "sqlite"
    where = {"database": choice.database} if embedded else {"hosts": choice.hosts, "port": choice.port}
    try:
        driver = init_coodie(driver_type=choice.module, keyspace=choice.keyspace, name=name, **where)
    except Exception as error:  # whatever a client raises, the reader must learn which store it was
        raise Failure(f"cannot open {describe(choice)}: {in_one_line(error)}") from error
    with closing(driver):
        yield


def page_hits(table: str, kind: str = "native") -> type[CounterDocument]:
    """Return the document class of a table of page hits; ``Failure`` (usage) for a name that no table can have."""
    if not _TABLE_NAME.fullmatch(table):
        allowed = "a letter, then letters, digits and underscores, at most 48 in all"
        raise Failure(f"--table {table!r} cannot name a table: {allowed}", USAGE)

    class PageHits(CounterDocument):
        url: Annotated[str, PrimaryKey()]
        views: Annotated[int, Counter()]

        class Settings:
            name = table
            counters = kind

    return PageHits


def prepare(model: type[CounterDocument]) -> None:
    """Create the table if it is missing and check its shape if it is not, or raise ``Failure``."""
    driver, table = resolve(model)
    try:
        columns = driver.submit(Statement(ReadColumns(table.stored), render=render)).items
        if not columns:
            model.sync_table()
            return
    except CoodieError as error:
        raise Failure(f"cannot create table {table.full_name}: {error}") from error
    key = {(column["column_name"], column["type"]) for column in columns if column["kind"] != "regular"}
    counters = {(column["column_name"], column["type"]) for column in columns}
    wanted = {(column.name, column.cql_type) for column in table.stored.primary_key}
    views = table.stored.by_name["views"]
    if key != wanted or ("views", views.cql_type) not in counters:
        needed = f"{_shown(wanted)} as its whole key, and views {views.cql_type}"
        raise Failure(
            f"table {table.full_name} has another shape than page hits with {table.counters} counters need ({needed}); "
            "nothing was stored"
        )


def _shown(columns: set[tuple[str, str]]) -> str:
    return " and ".join(f"{name} {kind}" for name, kind in sorted(columns))
