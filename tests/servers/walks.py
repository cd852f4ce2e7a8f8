"""
A framework's page, walked as a new user walks it: files saved, commands typed, answers compared.

Rules that live here:

* A ``python`` block begins with a comment that names its file; it is saved under that name.
* In a ``sh`` block each line is a command. A line that begins with a server's name runs beside what follows, until the
  next server or the page's end, which presses Ctrl-C; the other lines run to their end, which must be a good one. What
  ``localhost:8000`` or ``localhost:5000`` is to the reader is a free port here.
* A ``text`` block is what the commands right before it print; they are typed again for as long as they print something
  else, so only what does not count may stand before one.
* ``pip install`` is not run: an extra it names is ours, and everything else is installed here already.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.metadata import distribution
from pathlib import Path

from tests.integration.processes import LIMIT_S, ROOT, environment
from tests.servers.serving import Server, served

SERVERS = ("uvicorn", "gunicorn", "flask run", "python manage.py runserver", "python app.py runserver", "celery")
PORTS = {
    "UVICORN_PORT": "{port}",
    "GUNICORN_CMD_ARGS": "--bind 127.0.0.1:{port}",
    "FLASK_RUN_PORT": "{port}",
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
}
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def walk(page: Path, folder: Path) -> None:
    """Walk a page in a folder of the test; raise AssertionError where it does not lead on."""
    with ExitStack() as servers:
        current: Server | None = None
        for language, text, printed in _steps(page.read_text()):
            if language == "python":
                (folder / _file_of(text)).write_text(text)
                continue
            commands = [line for line in text.splitlines() if not _is_met(line)]
            if commands and commands[0].startswith(SERVERS):
                if current is not None:
                    current.interrupt()
                command = commands.pop(0)
                listens = not command.startswith("celery")
                words = ["/bin/sh", "-c", f"exec {command}"]
                current = servers.enter_context(served(words, folder, listens=listens, **PORTS))
            if commands:
                _typed("\n".join(commands), printed, folder, current)
        if current is not None:
            current.interrupt()


def _steps(page: str) -> Iterator[tuple[str, str, str | None]]:
    """Yield each python and sh block, with the text block right behind it, if there is one."""
    blocks = list(_BLOCK.finditer(page))
    for block, after in zip(blocks, [*blocks[1:], None], strict=True):
        assert block[1] in ("python", "sh", "text"), f"nobody checks a block of {block[1]}"
        is_answered = after is not None and after[1] == "text" and "\n#" not in page[block.end() : after.start()]
        if block[1] != "text":
            yield block[1], block[2], after[2] if after is not None and is_answered else None


def _file_of(text: str) -> str:
    found = re.match(r"# (\w+\.py)\n", text)
    assert found, f"the first line names no file: {text}"
    return found[1]


def _is_met(line: str) -> bool:
    """Return whether a line only installs what is here."""
    if not line.startswith("pip install "):
        return False
    for word in line.removeprefix("pip install ").replace("'", "").split():
        name, _, extra = word.rstrip("]").partition("[")
        if name == "coodie-aggregator":
            assert set(filter(None, extra.split(","))) <= set(_EXTRAS), f"there is no extra {extra}"
        else:
            distribution(name)
    return True


def _typed(commands: str, printed: str | None, folder: Path, server: Server | None) -> None:
    """Type commands until they print what they ought to."""
    if server is not None:
        commands = re.sub(r"localhost:\d+", server.address.removeprefix("http://"), commands)
    deadline = time.monotonic() + LIMIT_S
    while True:
        done = subprocess.run(
            ["/bin/sh", "-e", "-c", commands],
            cwd=folder,
            env=environment({"PATH": PORTS["PATH"], "PYTHONWARNINGS": "default"}),
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        log = server.log() if server is not None else ""
        assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}{log}"
        if printed is None or done.stdout.strip() == printed.strip():
            return
        assert time.monotonic() < deadline, f"{commands}\nprints\n{done.stdout}\nand not\n{printed}"
        time.sleep(0.1)
