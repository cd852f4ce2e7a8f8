"""
Two servers of one application, one that counts and one that does not, visited in turns by wrk.

Rules that live here: both run for the whole question, each with one worker, so that it and wrk have a core each; every
request is for one of a thousand pages, drawn by Zipf. In the end each answer that wrk got must be stored.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.support.row import Row, not_run, ratio_row
from benchmarks.support.timing import take_turns
from tests.servers.serving import Server, served, totals

VISITS = Path(__file__).parents[1] / "sides/visits.lua"
CONNECTIONS = 16


def compare(name: str, server: str, command: Sequence[str], *, quick: bool, least: float) -> list[Row]:
    """Return the row of a server's command, whose application reads COUNT from its environment."""
    if shutil.which("wrk") is None:
        return [not_run(name, "no wrk, which visits the server: install the package wrk")]
    seconds, rounds = (1, 5) if quick else (2, 15)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as servers:
        paths = [Path(folder, side) for side in ("counting", "bare")]
        ours, peer = (_open(servers, command, path) for path in paths)
        answered: list[int] = []
        turns = take_turns(lambda: _visit(ours, seconds, answered), lambda: _visit(peer, seconds, []), rounds)
        ours.stop()
        stored = sum(totals(paths[0]).values())
    cut_off = CONNECTIONS * len(answered)  # at the end of each turn, and counted or not
    assert sum(answered) <= stored <= sum(answered) + cut_off, f"{sum(answered)} answered, {stored} stored"
    question = f"{server}, one increment per request ({1 / min(turns.ours):,.0f} requests/s)"
    against = f"the same application without it ({1 / min(turns.peer):,.0f} requests/s)"
    return [ratio_row(name, question, against, turns.rates.median, turns.rates.spread, least=least)]


def _open(servers: ExitStack, command: Sequence[str], folder: Path) -> Server:
    folder.mkdir()
    return servers.enter_context(served(command, folder, COUNT="1" if folder.name == "counting" else ""))


def _visit(server: Server, seconds: int, answered: list[int]) -> float:
    """Visit for some seconds; return how many one request took, note how many were answered."""
    command = ["wrk", "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{seconds}s"]
    done = subprocess.run([*command, "--script", str(VISITS), server.address], capture_output=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["failed"] == 0, server.log()
    answered.append(found["requests"])
    return float(found["seconds"] / found["requests"])
