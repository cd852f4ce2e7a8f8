"""
A process that ends the nodes when the tests can no longer do it themselves.

It reads process ids and at last the end of its input, which comes when the tests close the pipe or die, however they
die; then it kills what still lives and removes the folder named on its command line. It holds a descriptor of each
process, not a number, so that it can never kill a stranger who was given an old id.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path


class Watchdog:
    """The tests' end of the pipe. Used by one thread at a time."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", __file__, str(folder)], stdin=subprocess.PIPE, text=True, start_new_session=True
        )

    def watch(self, pid: int) -> None:
        """Have the process killed at the end."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{pid}\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """End every watched process, remove the folder, and return when that is done."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def main(folder: str) -> None:
    """Collect process ids until the input ends, then leave nothing of them."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    held = []
    for line in sys.stdin:
        with contextlib.suppress(ProcessLookupError):
            held.append(os.pidfd_open(int(line)))
    for descriptor in held:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1])
