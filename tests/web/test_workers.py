"""Several worker processes under a real gunicorn: one page of metrics for all, a status endpoint for each."""

from __future__ import annotations

import os
import signal
from collections import Counter
from urllib.error import HTTPError

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.processes import LIMIT_S, fetch, serving, stored
from tests.web.asking import ask, until

HITS = 60
CONFIG = """
from prometheus_client import multiprocess
def child_exit(server, worker):
    multiprocess.mark_process_dead(worker.pid)
"""


def metrics(address):
    """Return the values of one scrape, those of all labels added up."""
    found = Counter()
    for family in text_string_to_metric_families(until(lambda: scrape(address))):
        for sample in family.samples:
            name = f"{sample.name} {sample.labels['state']}" if "state" in sample.labels else sample.name
            found[name] += sample.value
    return found


def scrape(address):
    """Return one scrape; None where prometheus_client fails, as it does on a file that a new worker just begins."""
    try:
        return fetch(address + "/metrics")
    except HTTPError:
        return None


def statuses(base, workers):
    return [ask(f"unix:{base}/status-{worker}.sock", "/stats.json").json for worker in workers]


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["", "preload"])
def test_the_sum_over_all_workers_is_what_was_answered(tmp_path, preload):
    """On one page, and added up over the status endpoints; a worker that is killed stays in the counters alone."""
    (tmp_path / "metrics").mkdir()
    (tmp_path / "gunicorn.conf.py").write_text(CONFIG)
    arguments = ["-m", "gunicorn", "--workers", "2", "--log-level", "error", *preload, "tests.web.site:application"]
    # Python warns of a fork beside threads: whoever preloads an application that starts threads wants just that.
    environment = {
        "PYTHONWARNINGS": "default",
        "BASE": str(tmp_path),
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics"),
    }
    with serving([*arguments, "--bind"], tmp_path, prefix="127.0.0.1:", **environment) as (process, address):
        hits = 0
        workers = set()
        for goal in (HITS, 2 * HITS):
            while hits < goal or len(workers) < 2:
                workers.add(int(fetch(f"{address}/{hits % 7}")))
                hits += 1
            until(lambda hits=hits: metrics(address)["aggregator_applied_units"] == hits)
        scraped = metrics(address)
        assert scraped["aggregator_increments_total"] == scraped["aggregator_accepted_units"] == hits
        assert scraped["aggregator_pending_units"] == 0
        assert scraped["aggregator_state ok"] == 2 + bool(preload)  # the master serves too, and has counted nothing
        shown = statuses(tmp_path, workers)
        assert sum(each["applied"] for each in shown) == hits
        assert all(0 < each["applied"] < hits for each in shown)
        assert sum(each["statements"] for each in shown) == scraped["aggregator_statements_total"]
        if preload:
            assert statuses(tmp_path, [process.pid])[0]["applied"] == 0  # its children have left its socket alone
        os.kill(killed := workers.pop(), signal.SIGKILL)
        (alive,) = statuses(tmp_path, workers)
        until(lambda: metrics(address)["aggregator_accepted_units"] == alive["accepted"])
        assert metrics(address)["aggregator_increments_total"] == hits
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=LIMIT_S)
    assert [path.name for path in tmp_path.glob("*.sock")] == [f"status-{killed}.sock"]
    assert sum(stored(tmp_path / "hits.db").values()) == hits
