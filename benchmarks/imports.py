"""
What importing a face costs, against pydantic, which it needs.

``import pydantic`` and ``import coodie.sync`` both leave most of the work to the first use of a name, so a program that
goes on to make its first model is timed as well. Each runs in a fresh process, timed by that process's processor time.
"""

from __future__ import annotations

import subprocess
import sys

from benchmarks.support.row import Row, ratio_row
from benchmarks.support.timing import take_turns

_TIMED = "from time import process_time as t\nb = t()\n{}\nprint(t() - b)"
_MODEL = "from {} import {} as Base\nclass Page(Base):\n    url: str"
PAIRS = {
    "module": ("import coodie.{}", "import pydantic"),
    "model": (_MODEL.format("coodie.{}", "Document"), _MODEL.format("pydantic", "BaseModel")),
}
TOLD = {
    "module": ("import coodie.{}", "import pydantic"),
    "model": ("a program's first Document, {} face", "BaseModel"),
}


def measure(quick: bool) -> list[Row]:
    """Return the rows of both faces, of the module alone and of a program's first model."""
    rounds = 5 if quick else 25
    return [_row(face, what, rounds) for face in ("sync", "aio") for what in PAIRS]


def _row(face: str, what: str, rounds: int) -> Row:
    ours, peer = PAIRS[what][0].format(face), PAIRS[what][1]
    turns = take_turns(lambda: _seconds(ours), lambda: _seconds(peer), rounds)
    least = [f"{min(side) * 1e3:.0f} ms" for side in (turns.ours, turns.peer)]
    question, against = TOLD[what][0].format(face), TOLD[what][1]
    name = f"imports.{face}.{what}"
    return ratio_row(name, f"{question} ({least[0]})", f"{against} ({least[1]})", turns.median, turns.spread, most=1.4)


def _seconds(statement: str) -> float:
    """Return the processor time of an import in a process of its own."""
    command = [sys.executable, "-I", "-c", _TIMED.format(statement)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
