"""
A process that has imported everything and forks a fresh one for each victim: ``python -m tests.processes.nursery``.

Rules that live here:

* A victim is forked before any aggregator, connection or thread exists, so it is as good as a new interpreter at a
  hundredth of the price: hundreds of them can be killed in a minute.
* The nursery reads one command a line and answers each with one line. A victim writes to a file of its own.
* A victim that ends by itself ends as any script does, through the interpreter's own exit.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.integration.processes import ROOT, environment


class Victim:
    """A process the nursery forked; ``says`` is the file of its output."""

    def __init__(self, nursery: Nursery, pid: int, says: Path) -> None:
        self.pid = pid
        self.says = says
        self._nursery = nursery

    def end(self, number: int = signal.SIGKILL) -> int:
        """Send a signal and wait for the end; return the exit code, negative for a signal."""
        os.kill(self.pid, number)  # ours for certain: the nursery has not waited for it
        return self.wait()

    def wait(self) -> int:
        """Wait for the end and return the exit code, negative for a signal."""
        return int(self._nursery.ask("wait", self.pid))

    def result(self) -> Any:
        """Wait for a good end, and return what it printed, from JSON; lines of its log may stand around it."""
        code = self.wait()
        text = self.says.read_text()
        assert code == 0, f"ended with {code}: {text}"
        return next(found for line in reversed(text.splitlines()) if (found := _json(line)) is not None)


def _json(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


class Nursery:
    """The nursery, from the side of the test."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._count = 0

    def ask(self, *words: Any) -> str:
        """Send one command and return its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()

    def victim(self, program: str, **arguments: Any) -> Victim:
        """Fork a process that runs a program of ``programs``, ``forking``, ``interrupting`` or ``agent.programs``."""
        self._count += 1
        says = self._folder / f"victim-{self._count}"
        pid = int(self.ask("fork", program, arguments, str(says)))
        return Victim(self, pid, says)


@contextmanager
def open_nursery(folder: Path) -> Iterator[Nursery]:
    """Run a nursery for the time of the context; what victims say is kept in the folder."""
    folder.mkdir(exist_ok=True)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.processes.nursery"],
        cwd=ROOT,
        env=environment({}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield Nursery(process, folder)
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # the nursery and every victim it still has


def _serve() -> Any:
    """Answer commands; in a forked victim, return the program to run and its arguments."""
    from tests.agent import programs as agents
    from tests.processes import forking, interrupting, programs

    rooms = [vars(forking), vars(interrupting), vars(programs), vars(agents)]
    for line in sys.stdin:
        command, *rest = json.loads(line)
        if command == "wait":
            _pid, status = os.waitpid(rest[0], 0)
            print(os.waitstatus_to_exitcode(status), flush=True)
            continue
        name, arguments, says = rest
        pid = os.fork()
        if not pid:
            _settle_in(says)
            return next(room[name] for room in rooms if name in room), arguments
        print(pid, flush=True)
    return None


def _settle_in(says: str) -> None:
    out = os.open(says, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (out, 1), (out, 2)):
        os.dup2(source, target)


def main() -> None:
    found = _serve()
    if found is not None:
        program, arguments = found
        try:
            program(**arguments)
        except Exception:
            traceback.print_exc()
            sys.stderr.flush()
            sys.exit(70)


if __name__ == "__main__":
    main()
