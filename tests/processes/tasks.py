"""The application of ``app`` as one of Celery's, its messages in a folder; a task counts a hit and notes it."""

from __future__ import annotations

import os
from pathlib import Path

from celery import Celery

from tests.processes.app import BASE, Hits

folder = f"{BASE}/messages"
Path(folder).mkdir(exist_ok=True)
app = Celery("hits", broker="filesystem://")
app.conf.broker_transport_options = {"data_folder_in": folder, "data_folder_out": folder}


@app.task(name="hit")
def hit(url: str) -> None:
    Hits(url=url).increment(views=1)
    note = os.open(f"{BASE}/done", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(note, b".")
    os.close(note)
