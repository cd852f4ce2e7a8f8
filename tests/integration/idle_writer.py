"""A process that has a slot of a journal and a single thread, so no flusher; it ends with its standard input."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.writers import Process, hits


def main() -> None:
    Process(Path(sys.argv[1]), hits())
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
