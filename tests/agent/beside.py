"""An agent and its worker in the process of a test, each with its own slot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aggregator import Aggregator
from aggregator.agent.agent import AgentMachine
from aggregator.config import read_options


class Beside:
    """An agent that makes its rounds when a test says so, over a store of its own connection."""

    def __init__(self, journal: Path, **options: Any) -> None:
        self.machine = AgentMachine(read_options({"journal": journal, **options}))

    def round(self) -> Any:
        return self.machine.background.ask(timeout=20.0).result(60.0)

    def serve(self) -> None:
        """Flush when a worker rings."""
        self.machine.background.start()

    def close(self) -> None:
        self.machine.background.stop(20.0)
        self.machine.close()


def worker(journal: Path, **options: Any) -> Aggregator:
    return Aggregator(**{"mode": "agent", "journal": journal, "flush_interval": None, **options})
