"""How many requests Flask serves under gunicorn with one increment in each, against the same application without."""

from __future__ import annotations

from benchmarks.support.row import Row
from benchmarks.support.visiting import compare

COMMAND = ["-m", "gunicorn", "--log-level", "error", "--workers", "1", "--bind", "127.0.0.1:{port}"]


def measure(quick: bool) -> list[Row]:
    """Return the row of one worker of the default class."""
    command = [*COMMAND, "benchmarks.sides.flask_app:app"]
    return compare("serving.flask", "Flask under gunicorn", command, quick=quick, least=0.97)
