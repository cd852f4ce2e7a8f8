"""``aggregator demo`` as a user runs it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
from pathlib import Path
from urllib.error import URLError

import pytest

from tests.integration.processes import LIMIT_S, fetch, run, running

DEMO = ["-m", "aggregator", "demo"]


def address_of(process: subprocess.Popen[bytes]) -> str:
    """Read the line that names the live page."""
    assert process.stdout is not None
    line = process.stdout.readline().decode()
    found = re.fullmatch(r"live page: (http://127\.0\.0\.1:\d+)/\n", line)
    assert found, line or process.communicate()[1].decode()
    return found[1]


def reckoning(out: str) -> dict[str, str]:
    """Return the rows of the summary table."""
    return dict(re.findall(r"│ ([a-z ]+?) +│ +(.+?) │", out))


def test_it_shows_what_happens_and_agrees_with_the_store(tmp_path: Path) -> None:
    """The page and its figures answer while it runs; at the end every page's total is what was sent."""
    with running([*DEMO, "--seconds", "3"], tmp_path) as process:
        address = address_of(process)
        assert "<title>aggregator" in fetch(address + "/")
        figures = json.loads(fetch(address + "/figures.json"))
        while not figures["hottest"]:
            figures = json.loads(fetch(address + "/figures.json"))
        out = process.communicate(timeout=LIMIT_S)[0].decode()
    assert process.returncode == 0
    parts = sum(figures[name] for name in ("applied", "pending", "in_flight", "unknown", "dropped"))
    assert figures["accepted"] == parts > 0
    assert figures["hottest"][0]["row"].startswith("/articles/")
    rows = reckoning(out)
    assert rows["hits sent"] == rows["hits stored"]
    assert int(rows["hits sent"].replace(",", "")) >= figures["accepted"]
    assert re.fullmatch(r"all \d+ pages agree", rows["totals"])
    assert list(tmp_path.iterdir()) == []


def test_visitors_see_pages_and_are_not_counted(tmp_path: Path) -> None:
    """Neither on a page of the traffic nor on one it never asks for; the totals still agree."""
    with running([*DEMO, "--seconds", "2"], tmp_path) as process:
        address = address_of(process)
        for page in ["/articles/1", "/metrics"] * 20:
            shown = fetch(address + page)
            assert shown.startswith(f"This is {page}\n")
            assert "not counted" in shown
        out = process.communicate(timeout=LIMIT_S)[0].decode()
    assert process.returncode == 0, out
    rows = reckoning(out)
    assert rows["hits sent"] == rows["hits stored"]
    assert re.fullmatch(r"all \d+ pages agree", rows["totals"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_as_time_does(tmp_path: Path, number: signal.Signals) -> None:
    with running(DEMO, tmp_path) as process:
        address = address_of(process)
        while json.loads(fetch(address + "/figures.json"))["accepted"] == 0:
            pass
        process.send_signal(number)
        out = process.communicate(timeout=LIMIT_S)[0].decode()
    assert process.returncode == 0
    assert "agree" in reckoning(out)["totals"]
    with pytest.raises(URLError):
        fetch(address)


def test_the_server_ends_with_a_demo_that_was_killed(tmp_path: Path) -> None:
    with running(DEMO, tmp_path, TMPDIR=str(tmp_path)) as process:
        address = address_of(process)
        process.kill()
        process.wait()
    port = int(address.rpartition(":")[2])
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            break


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run([*DEMO, "--seconds", "1", "--port", str(port)], tmp_path)
    assert done.returncode == 2
    words = os.strerror(98).lower()
    assert done.stderr.decode() == f"aggregator: port {port} of 127.0.0.1 cannot be used: {words}\n"
