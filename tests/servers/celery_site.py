"""
A Celery application whose tasks count; each hit is noted in a file, with the process that counted it.

Rules that live here: its messages go through a folder, or through the broker that BROKER names.
"""

from __future__ import annotations

import os
from pathlib import Path

from celery import Celery

from aggregator import Aggregator
from aggregator.integrations.celery import install
from coodie.sync import init_coodie
from tests.servers.hits import CONNECTION, OPTIONS, Hits

FOLDER, NOTES = "messages", "notes"
app = Celery("site", broker=os.environ.get("BROKER", "filesystem://"))
if "BROKER" not in os.environ:
    Path(FOLDER).mkdir(exist_ok=True)
    app.conf.broker_transport_options = {"data_folder_in": FOLDER, "data_folder_out": FOLDER, "polling_interval": 0.05}
app.conf.worker_enable_remote_control = False  # one queue fewer to poll
init_coodie(**CONNECTION)
Hits.sync_table()
install(
    app,
    Aggregator(**OPTIONS) if os.environ.get("GIVEN") else None,
    on_teardown=os.environ.get("ON_TEARDOWN", "wake"),
    discard_on_error=bool(os.environ.get("DISCARD")),
)


@app.task(name="hit", acks_late=True)
def hit(url: str) -> None:
    Hits(url=url).increment(views=1)
    note(str(os.getpid()))


@app.task(name="fail")
def fail() -> None:
    Hits(url="/failed").increment(views=1)
    note("failed")
    raise RuntimeError("a task that fails")


@app.task(name="try_again", bind=True, max_retries=1, default_retry_delay=0)
def try_again(self) -> None:
    Hits(url="/tried").increment(views=1)
    note("tried")
    if self.request.retries == 0:
        raise self.retry(exc=RuntimeError("once more"))


@app.task(name="eager")
def eager() -> None:
    """Run another task in place: the scope of one stands in that of the other."""
    Hits(url="/eager").increment(views=1)
    fail.apply()
    hit.apply(args=["/inner"])


def note(text: str) -> None:
    """Tell the test of a task; one write, whole whoever else writes."""
    file = os.open(NOTES, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{text}\n".encode())
    os.close(file)
