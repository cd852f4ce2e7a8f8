"""
The agent's intake for programs in other languages: HTTP on a Unix socket or a port of this machine.

Rules that live here: what the options mean together; everything is checked and opened before anything is served. The
protocol is described in ``docs/intake.md``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from aggregator.agent.intake.accepted import ROWS, Accepted
from aggregator.agent.intake.address import is_port, listen
from aggregator.agent.intake.app import App
from aggregator.agent.intake.callers import Callers, read_token
from aggregator.agent.intake.connection import REQUEST_S
from aggregator.agent.intake.server import Server
from aggregator.agent.intake.tables import read_tables
from aggregator.exceptions import ConfigurationError


class Intake:
    """
    A source of the agent's (``source``), and the server that fills it.

    Raises ``ConfigurationError`` for an option that is not allowed and ``JournalError`` where the journal cannot be
    used; nothing is served then.
    """

    def __init__(
        self,
        journal: str | Path,
        address: str,
        tables: str | Path,
        *,
        token_file: str | Path | None = None,
        users: Sequence[int] = (),
        durability: str = "process",
        rows: int = ROWS,
        request_s: float = REQUEST_S,
    ) -> None:
        """
        Open the intake, without serving it yet.

        Args:
            journal: the agent's journal directory, which is there.
            address: path of a Unix socket, or HOST:PORT of this machine, which takes a token.
            tables: TOML file of the tables that clients may count in.
            token_file: holds what every request must carry as ``Authorization: Bearer``.
            users: ids of users who may use the Unix socket; none: this process's own alone.
            durability: ``"disk"``: an answer means synced.
            rows: rows that may wait for the agent.
            request_s: seconds one request may take, until its answer is read.
        """
        if is_port(address) and token_file is None:
            raise ConfigurationError(f"intake={address!r} without a token file: over TCP every request needs a token")
        allowed = tuple(users) or (os.geteuid(),)
        callers = Callers(allowed, None if token_file is None else read_token(token_file))
        self.source = Accepted(journal, read_tables(tables), rows=rows, syncs=durability == "disk")
        try:
            listening = listen(address, shared=not {0, os.geteuid()}.issuperset(allowed))
        except BaseException:
            self.source.close()
            raise
        self.url = listening.url
        self._server = Server(App(self.source, callers), callers, listening, request_s)

    def start(self) -> None:
        """Serve, on a thread of its own."""
        self._server.start()

    def is_serving(self) -> bool:
        """Return whether the server's thread lives: it ends before ``stop`` by a fault of its own alone."""
        return self._server.is_alive

    def stop(self) -> None:
        """End serving. What was accepted and not moved stays; the agent moves the rest before it calls ``close``."""
        self._server.stop()

    def close(self) -> None:
        """Close the log, after ``stop``."""
        self.source.close()
