"""
The options by which ``aggregator journal recover`` and ``aggregator fold`` reach a store, and the journal's directory.

Rules that live here: rows of a journal know the name of the connection they were counted over, so the store is opened
under that name. A journal that is not there is an error, never made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from aggregator.cli.failure import USAGE, Failure
from aggregator.config import Options
from aggregator.exceptions import ConfigurationError
from aggregator.slots import options_of

Database: TypeAlias = Annotated[str | None, typer.Option(metavar="FILE", help="The store is this SQLite file.")]
Hosts: TypeAlias = Annotated[
    str | None, typer.Option(metavar="H,H", help="The store is a Cassandra or ScyllaDB on these hosts.")
]
Port: TypeAlias = Annotated[int | None, typer.Option(min=1, max=65535, metavar="P", help="Port of the hosts.")]
Keyspace: TypeAlias = Annotated[str | None, typer.Option(metavar="K", help="Keyspace on the hosts; it must exist.")]
Driver: TypeAlias = Annotated[
    str | None, typer.Option(metavar="D", help="Driver: cassandra, scylla, acsylla or sqlite.")
]
Connection: TypeAlias = Annotated[
    str, typer.Option(metavar="NAME", help="Name the application gave this connection in init_coodie(name=...).")
]


def journal_options(directory: str) -> Options:
    """Return an aggregator's options for a journal that exists, or raise ``Failure`` (usage)."""
    if not Path(directory).is_dir():
        raise Failure(f"{directory}: there is no journal", USAGE)
    try:
        return options_of(directory)
    except ConfigurationError as error:
        raise Failure(str(error), USAGE) from error
