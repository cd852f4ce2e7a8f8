"""
Count in Celery tasks: what a task counts is written by its worker process, merged with that of all its other tasks.

Run: celery -A examples.celery_app worker --concurrency 2
     python -m examples.celery_app /home 1000          (asks for a thousand visits)
     CELERY_BROKER_URL=amqp://localhost COODIE_HOSTS=127.0.0.1 COODIE_KEYSPACE=web celery -A examples.celery_app worker

Without a broker's address messages go through the folder "messages". A task that fails, or is tried again, counts
nothing.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

from celery import Celery

from aggregator.integrations.celery import install
from coodie.fields import Counter, PrimaryKey
from coodie.sync import CounterDocument, init_coodie

app = Celery("examples.celery_app", broker=os.environ.get("CELERY_BROKER_URL", "filesystem://"))
if "CELERY_BROKER_URL" not in os.environ:
    Path("messages").mkdir(exist_ok=True)
    folder = {"data_folder_in": "messages", "data_folder_out": "messages"}
    app.conf.broker_transport_options = {**folder, "polling_interval": 0.1}
    app.conf.worker_enable_remote_control = False  # such a broker has no broadcasts
install(app, discard_on_error=True)
init_coodie()


class PageHits(CounterDocument):
    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()] = 0

    class Settings:
        name = "page_hits"


PageHits.sync_table()


@app.task(acks_late=True)
def visit(url: str) -> None:
    """Count a hit: memory only, no round trip."""
    PageHits(url=url).increment(views=1)


if __name__ == "__main__":
    for _ in range(int(sys.argv[2])):
        visit.delay(sys.argv[1])
