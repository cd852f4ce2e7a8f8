"""
How many increments a second come in over the agent's Unix socket in batches of 100, against the agent's own calls.

The agent is a process (``aggregator agent`` on SQLite, a round each second), its client this one: a core for each.
"""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import msgspec

from aggregator.agent.agent import Agent
from benchmarks.support.counting import PageHits, construct_and_increment, fresh, zipf
from benchmarks.support.row import Row, ratio_row
from benchmarks.support.timing import inner_half
from coodie.sync import init_coodie

KEYS = 1_000
BATCH = 100
REACH = 100_000
TABLES = '[hits]\ntable = "page_hits"\nkey = { url = "text" }\ncounters = ["views"]\n'
OPTIONS = "--journal journal --database hits.db --intake run/socket --tables tables.toml"


def measure(quick: bool) -> list[Row]:
    """Return the rate over the socket, and its share of the rate of calls in the agent itself."""
    rounds, requests = (4, 500) if quick else (12, 2_000)
    urls = fresh(zipf(KEYS, requests * BATCH))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        init_coodie(database=str(place / "hits.db"))
        PageHits.sync_table()
        (place / "tables.toml").write_text(TABLES)
        with _agent(place):
            over_socket = [_sent(place / "run/socket", _requests(urls, turn)) for turn in range(rounds + 1)][1:]
        _check(urls, rounds + 1)
        called = _called(place, urls, rounds)
    rates = [len(urls) / seconds for seconds in over_socket]
    rate = statistics.median(rates)
    shares = [own / seconds for own, seconds in zip(called, over_socket, strict=True)]
    return [
        Row(
            name="intake.rate",
            question=f"increments per second over the agent's Unix socket, batches of {BATCH}, Zipf keys, SQLite",
            against="2 cores: the agent has one, its client the other",
            figure=f"{rate:,.0f}/s",
            spread=inner_half(rates, 0),
            target=f">= {REACH:,}",
            reached=rate >= REACH,
        ),
        ratio_row(
            "intake.share",
            "the same",
            "PageHits(url=u).increment(views=1) in the agent itself",
            statistics.median(shares),
            inner_half(shares),
        ),
    ]


@contextmanager
def _agent(place: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "aggregator", "agent", *OPTIONS.split()]
    with subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()  # it serves
        yield
        process.terminate()
        assert process.wait(60) == 0


def _requests(urls: list[str], turn: int) -> list[bytes]:
    found = []
    for start in range(0, len(urls), BATCH):
        rows = [{"table": "hits", "key": {"url": url}, "add": {"views": 1}} for url in urls[start : start + BATCH]]
        body = msgspec.json.encode({"producer": "bench", "sequence": turn * len(urls) + start + 1, "increments": rows})
        found.append(b"POST /v1/increments HTTP/1.1\r\nHost: agent\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    return found


def _sent(path: Path, requests: list[bytes]) -> float:
    """Send requests one after the other, each when the one before is answered; return the seconds that took."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        began = perf_counter()
        for request in requests:
            connection.sendall(request)
            answer = b""
            while not answer.endswith(b"}"):
                answer += connection.recv(4096)
            assert b'"accepted":100' in answer, answer
        return perf_counter() - began


def _check(urls: list[str], turns: int) -> None:
    sent = Counter(urls)
    assert {hits.url: hits.views for hits in PageHits.find().all()} == {url: turns * n for url, n in sent.items()}


def _called(place: Path, urls: list[str], rounds: int) -> list[float]:
    """Count the same by calls in an agent of this process; return the seconds of each round."""
    found = []
    with Agent(journal=str(place / "own"), max_batch_size=100_000):
        for _ in range(rounds + 1):
            began = perf_counter()
            construct_and_increment(urls)
            found.append(perf_counter() - began)
    return found[1:]
