"""`aggregator agent --intake`: killed again and again, behind a wire that cuts replies, each increment counts once."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coodie import drivers
from coodie.sync import init_coodie
from tests.agent.intake_rig import CuttingWire, journal_in, request, send_until_taken
from tests.support.models import PageHits

PRODUCERS, REQUESTS, KILLS = 3, 60, 6


@contextmanager
def database(folder: Path) -> Iterator[None]:
    driver = init_coodie(database=str(folder / "counted.db"))
    yield
    driver.close()
    drivers._registry.clear()


def agent(folder: Path) -> subprocess.Popen[str]:
    """Start an agent and return once it serves."""
    options = "--journal journal --database counted.db --flush-interval 0.05 --intake run/socket --tables tables.toml"
    command = [sys.executable, "-m", "aggregator", "agent", *options.split()]
    made = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    assert made.stdout is not None
    assert made.stdout.readline().startswith("agent of journal")
    return made


def end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 0


class Producer:
    """Sends its requests one after the other, each until it is taken."""

    def __init__(self, name: str, url: str, ended: threading.Event) -> None:
        self.sent: Counter[str] = Counter()
        self.taken = threading.Semaphore(0)
        self.thread = threading.Thread(target=self._send, args=(name, url, ended))
        self.thread.start()

    def _send(self, name: str, url: str, ended: threading.Event) -> None:
        chance = random.Random(name)
        for sequence in range(1, REQUESTS + 1):
            increments = [(f"/{chance.randrange(30)}", chance.randrange(1, 9)) for _ in range(20)]
            send_until_taken(url, request(name, sequence, *increments), ended)
            for page, n in increments:
                self.sent[page] += n
            self.taken.release()


def test_nothing_is_lost_and_nothing_is_counted_twice_when_the_agent_is_killed(tmp_path):
    journal_in(tmp_path)
    with database(tmp_path):
        PageHits.sync_table()
    process = agent(tmp_path)
    chance, ended = random.Random(6), threading.Event()
    with CuttingWire(tmp_path / "wire", tmp_path / "run" / "socket") as wire:
        producers = [Producer(f"p{number}", f"unix:{tmp_path / 'wire'}", ended) for number in range(PRODUCERS)]
        try:
            for _ in range(KILLS):
                for _ in range(chance.randrange(1, PRODUCERS * REQUESTS // KILLS // 3)):
                    assert chance.choice(producers).taken.acquire(timeout=60)
                process.kill()
                process.communicate()
                process = agent(tmp_path)
        except BaseException:
            ended.set()
            raise
        finally:
            for producer in producers:
                producer.thread.join()
    end(process)
    sent: Counter[str] = sum((producer.sent for producer in producers), Counter())
    with database(tmp_path):
        assert {hits.url: hits.views for hits in PageHits.find().all()} == sent
    assert wire.cut["cut the reply"] > 10
    assert wire.cut["cut the request"] > 10
