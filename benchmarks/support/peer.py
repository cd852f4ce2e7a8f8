"""
The existing library, in an environment of its own: its package has the same name as ours.

Rules that live here: the environment is made when it is first asked for, with pip, under ``.bench/``, and made anew
when what it is to hold has changed; it holds the clients and the pydantic that ours has. Its package is only ever run.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from importlib.metadata import version
from pathlib import Path

FOLDER = Path(__file__).parents[2] / ".bench" / "peer"
VERSION = "1.9.3"
NAME = f"coodie {VERSION}"


class NotAvailable(Exception):
    """There is no environment with the peer, and none could be made."""


def python() -> str:
    """Return the interpreter of the peer's environment."""
    wanted = [
        f"coodie=={VERSION}",
        *(f"{name}=={version(name)}" for name in ("pydantic", "acsylla", "cassandra-driver")),
    ]
    found = FOLDER / "bin" / "python"
    held = FOLDER / "held.txt"
    if not held.exists() or held.read_text() != "\n".join(wanted):
        print(f"making the environment of {NAME} ...", file=sys.stderr, flush=True)
        venv.create(FOLDER, clear=True, with_pip=True)
        done = subprocess.run(
            [found, "-m", "pip", "install", "--quiet", *wanted], stdout=sys.stderr.fileno(), check=False
        )
        if done.returncode:
            raise NotAvailable(f"pip could not install {', '.join(wanted)}; its error is printed above")
        held.write_text("\n".join(wanted))
    return str(found)
