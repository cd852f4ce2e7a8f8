"""How many requests FastAPI serves under uvicorn with one increment in each, against the same application without."""

from __future__ import annotations

from benchmarks.support.row import Row
from benchmarks.support.visiting import compare

COMMAND = ["-m", "uvicorn", "--no-access-log", "--log-level", "error", "--port", "{port}"]


def measure(quick: bool) -> list[Row]:
    """Return the row of one worker."""
    command = [*COMMAND, "benchmarks.sides.fastapi_app:app"]
    return compare("serving.fastapi", "FastAPI under uvicorn", command, quick=quick, least=0.97)
