"""
Where ``stats``, ``top`` and ``unknown`` look: at the status endpoint of running processes, or into a journal.

Rules that live here: what is given on the command line wins; without it AGGREGATOR_STATUS, then AGGREGATOR_JOURNAL, as
the application itself reads them. A journal is looked at without owning it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import typer

from aggregator.cli.connection import journal_options
from aggregator.cli.failure import USAGE, Failure
from aggregator.cli.stats_endpoint import Endpoint, endpoints
from aggregator.journal.bell import AGENT
from aggregator.journal.directory import WORKERS, Directory, open_directory

Url: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="URL",
        help="Status endpoint: http://HOST:PORT or unix:/PATH, {pid} in it for all processes; may be repeated.",
    ),
]
Journal: TypeAlias = Annotated[str | None, typer.Option(metavar="DIR", help="Look into the journal in this directory.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON value.")]


@dataclass(frozen=True)
class Source:
    """Running processes, or the directories of a journal: one of the two."""

    endpoints: list[Endpoint]
    directories: list[Directory]


def source(url: list[str] | None, journal: str | None) -> Source:
    """Return where to look; ``Failure`` (usage) where that is not said, or said twice."""
    if url and journal:
        raise Failure("--url looks at running processes and --journal into a directory: give one of them", USAGE)
    if not url and not journal:
        url = [address] if (address := os.environ.get("AGGREGATOR_STATUS")) else None
        journal = None if url else os.environ.get("AGGREGATOR_JOURNAL") or None
    if url:
        return Source([each for address in url for each in endpoints(address)], [])
    if journal:
        return Source([], directories(journal))
    raise Failure("where to look? --url of a status endpoint, or --journal of a directory", USAGE)


def directories(journal: str) -> list[Directory]:
    """Return the directory of a journal, and those of a host's agent and its workers where there are any."""
    journal_options(journal)
    found = open_directory(journal)
    return [found, *(found.within(name) for name in (AGENT, WORKERS) if (found.path / name).is_dir())]
