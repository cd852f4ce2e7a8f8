"""A real Prometheus scrapes a process: the dashboard's queries answer what its ``/stats.json`` says."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from aggregator import Aggregator
from coodie.sync import init_coodie
from tests.deploy.test_deploy import DASHBOARD
from tests.support.models import PageHits

LIMIT_S = 60
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
CONFIG = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: app
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextmanager
def prometheus(folder: Path, scraped: int) -> Iterator[Callable[[str], list[dict[str, Any]]]]:
    """Run a Prometheus that scrapes a port, and give what asks it."""
    port = free_port()
    (folder / "prometheus.yml").write_text(CONFIG.format(port=scraped))
    command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log) as process,
    ):

        def ask(query: str) -> list[dict[str, Any]]:
            try:
                with urlopen(f"http://127.0.0.1:{port}/api/v1/query?{urlencode({'query': query})}") as answer:
                    found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
                    return found
            except OSError:  # it does not listen yet
                return []

        try:
            yield ask
        finally:
            process.kill()


def figure(result: dict[str, Any]) -> float:
    return float(result["value"][1])


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="no prometheus: install Debian's package")
def test_the_dashboard_shows_the_figures_of_stats(tmp_path: Path) -> None:
    driver = init_coodie(driver_type="sqlite", database=str(tmp_path / "hits.db"))
    PageHits.sync_table()
    port = free_port()
    with Aggregator(flush_interval=3600, status=f"127.0.0.1:{port}") as aggregator:
        for views in (7, 2, 5):
            PageHits(url=f"/{views}").increment(views=views, unique_visitors=1)
        aggregator.flush()
        PageHits(url="/pending").increment(views=4)
        with urlopen(f"http://127.0.0.1:{port}/stats.json") as answer:
            stats = json.load(answer)
        assert (stats["applied"], stats["pending"]) == (17, 4)
        with prometheus(tmp_path, port) as ask:
            deadline = time.monotonic() + LIMIT_S
            while not ask("aggregator_pending_units"):
                assert time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.1)
            for name in ("pending", "unknown", "dropped"):
                (query,) = (query for query in QUERIES if f"aggregator_{name}_units" in query)
                shown = {
                    (found["metric"]["table"].split(".")[-1], found["metric"]["column"]): figure(found)
                    for found in ask(query)
                }
                told = {
                    (table.split(".")[-1], column): account[name]
                    for table, columns in stats["tables"].items()
                    for column, account in columns.items()
                }
                assert shown == told, query
            for name in set(re.findall(r"aggregator_(\w+)_(?:total|units)", " ".join(QUERIES))):
                suffix = "total" if name in ("increments", "statements") else "units"
                assert sum(map(figure, ask(f"aggregator_{name}_{suffix}"))) == stats[name], name
            (oldest,) = ask(next(query for query in QUERIES if "oldest" in query))
            assert 0 < figure(oldest) < 2 * LIMIT_S
            assert not any(map(figure, ask(next(query for query in QUERIES if "aggregator_state" in query))))
    driver.close()
