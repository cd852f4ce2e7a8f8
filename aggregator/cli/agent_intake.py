"""
The intake of ``aggregator agent``: its options, and its place in the agent's life.

Rules that live here: every table of the file is the agent's before anything is counted in it. Clients are served after
the agent has started, and no more when it writes for the last time; the intake's log is closed after that.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec
import typer

from aggregator.agent.agent import Agent
from aggregator.agent.intake import Intake
from aggregator.cli.failure import USAGE, Failure
from coodie.exceptions import ConfigurationError, InvalidQueryError

Address: TypeAlias = Annotated[
    str | None,
    typer.Option("--intake", metavar="ADDRESS", help="Take increments over HTTP: path of a socket, or 127.0.0.1:PORT."),
]
Tables: TypeAlias = Annotated[
    Path | None, typer.Option("--tables", metavar="FILE", help="TOML file of the tables that the intake counts in.")
]
TokenFile: TypeAlias = Annotated[
    Path | None,
    typer.Option("--intake-token-file", metavar="FILE", help="Every request must carry its token; needed for a PORT."),
]
AllowUid: TypeAlias = Annotated[
    list[int] | None,
    typer.Option("--allow-uid", metavar="UID", help="A user who may use the socket (the agent's own); repeatable."),
]


class IntakeOptions(msgspec.Struct, frozen=True):
    """What the options say."""

    address: str | None
    tables: Path | None
    token_file: Path | None
    users: list[int] | None

    def checked(self) -> IntakeOptions:
        """Return these options; ``Failure`` (usage) where one is given without the other."""
        if self.address is not None and self.tables is None:
            raise Failure("--intake without --tables: say which tables clients may count in", USAGE)
        if self.address is None and (self.tables or self.token_file or self.users):
            raise Failure("--tables, --intake-token-file and --allow-uid are about --intake, which is not given", USAGE)
        return self

    def serve(self, agent: Agent) -> Intake | None:
        """Begin to serve for a started agent, where there is to be an intake; ``Failure`` where that cannot be."""
        if self.address is None or self.tables is None:
            return None
        options, journal = agent.options, agent.options.journal or ""
        try:
            intake = Intake(
                journal,
                self.address,
                self.tables,
                token_file=self.token_file,
                users=self.users or (),
                durability=options.durability,
                rows=options.max_keys,
            )
            try:
                for counted in intake.source.tables.values():
                    agent.claim(counted.target)
            except BaseException:
                intake.stop()
                intake.close()
                raise
        except (ConfigurationError, InvalidQueryError) as error:
            raise Failure(str(error), USAGE) from error
        agent.add(intake.source)
        intake.start()
        return intake
