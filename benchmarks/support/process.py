"""
A side that runs as a process of its own, asked by lines of text and answering each with a line of JSON.

Rules that live here: the process sees nothing of this folder (``-I``), so that ``import coodie`` is what its
environment holds; while one side works the others wait for their next line.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_SIDES = Path(__file__).parents[1] / "sides"
OURS = sys.executable


class Side:
    """A running process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, question: str) -> Any:
        """Send a line and return the answer; RuntimeError where the process ends instead."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(question + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the side asked for {question!r} ended; its error is printed above")
        return json.loads(answer)


@contextmanager
def side(python: str, program: str, *arguments: str) -> Iterator[Side]:
    """Give a process of an interpreter that runs a program of ``benchmarks/sides``, and end it."""
    command = [python, "-I", str(_SIDES / f"{program}.py"), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Side(process)
        finally:
            assert process.stdin
            process.stdin.close()
            process.wait()
