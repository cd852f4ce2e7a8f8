"""The middlewares under real servers: uvicorn, and the standard library's WSGI server."""

from __future__ import annotations

import contextlib
import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError

import pytest

from tests.integration.processes import fetch, interrupt, serving, stored

pytestmark = pytest.mark.parametrize("kind", ["asgi", "wsgi"])


def ask(address: str, path: str) -> None:
    """Ask for a page that may fail, or break off."""
    with contextlib.suppress(HTTPError, http.client.HTTPException):
        fetch(address + path)


def test_flush_stores_each_request(kind: str, tmp_path: Path) -> None:
    """With no periodic flush, a hit is stored because its request ended."""
    arguments = ["-m", "tests.integration.serve_site", kind, "flush", "0"]
    with serving(arguments, tmp_path) as (process, address):
        for path in ("/a", "/stream", "/fail", "/a"):
            ask(address, path)
        while (totals := json.loads(fetch(address + "/totals"))) != {"/a": 2, "/stream": 2, "/fail": 1}:
            assert process.poll() is None, totals
        interrupt(process)


def test_discard_on_error_counts_successes_alone(kind: str, tmp_path: Path) -> None:
    """Under concurrent requests; a status of 500 and an exception are errors, wherever in the response."""
    arguments = ["-m", "tests.integration.serve_site", kind, "wake", "1"]
    paths = ["/a", "/fail", "/stream", "/raise", "/break", "/b"] * 10
    with serving(arguments, tmp_path) as (process, address):
        with ThreadPoolExecutor(4) as visitors:
            list(visitors.map(lambda path: ask(address, path), paths))
        interrupt(process)
    assert stored(tmp_path / "hits.db") == {"/a": 10, "/b": 10, "/stream": 20}


@pytest.mark.parametrize("on_teardown", ["wake", "off"])
def test_the_last_flush_stores_the_rest(kind: str, on_teardown: str, tmp_path: Path) -> None:
    """Without a flush per request nothing is lost at the end; an error counts unless told otherwise."""
    arguments = ["-m", "tests.integration.serve_site", kind, on_teardown, "0"]
    with serving(arguments, tmp_path) as (process, address):
        for path in ("/a", "/raise", "/a", "/break"):
            ask(address, path)
        interrupt(process)
    assert stored(tmp_path / "hits.db") == {"/a": 2, "/raise": 1, "/break": 2}
