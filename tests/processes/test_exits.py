"""Every way in which a script ends: what was counted is stored, or the journal keeps it for the next start."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from tests.integration.processes import LIMIT_S, ROOT, environment

SCRIPT = """
import os, signal, sys, threading
from typing import Annotated
from aggregator import Aggregator
from coodie.fields import Counter, PrimaryKey
from coodie.sync import CounterDocument, init_coodie

class Hits(CounterDocument):
    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()]
    class Settings:
        name = "hits"
        counters = sys.argv[1]

init_coodie(driver_type="sqlite", database="hits.db")
Hits.sync_table()
aggregator = Aggregator(flush_interval=None, journal="journal" if sys.argv[2] == "journal" else None).start()
def count():
    Hits(url="/").increment(views=1)
count()
count()
{ending}
"""

# name -> (what the script does, its exit code, units it counts)
ENDINGS = {
    "end of the script": ("", 0, 2),
    "sys.exit": ("sys.exit(3)", 3, 2),
    "sys.exit in a thread": ("threading.Thread(target=lambda: (count(), sys.exit(3))).start()", 0, 3),
    "exception": ("raise ZeroDivisionError", 1, 2),
    "SIGINT": ("os.kill(os.getpid(), signal.SIGINT); threading.Event().wait()", -signal.SIGINT, 2),
    "a handler of SIGTERM that exits": (
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(4)); os.kill(os.getpid(), signal.SIGTERM)",
        4,
        2,
    ),
    "counted by atexit": ("import atexit; atexit.register(count)", 0, 3),
    "counted by a thread that outlives the main one": (
        "main = threading.main_thread(); threading.Thread(target=lambda: (main.join(), count())).start()",
        0,
        3,
    ),
    "counted by a finalizer": ("import weakref; weakref.finalize(Hits, count)", 0, 3),
}
# Nothing runs at these ends: without a journal what was counted is lost, and is said to be.
SUDDEN = {
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM, 2),
    "SIGHUP": ("os.kill(os.getpid(), signal.SIGHUP)", -signal.SIGHUP, 2),
    "os._exit": ("os._exit(5)", 5, 2),
    "abort": ("os.abort()", -signal.SIGABRT, 2),
}


def end(folder, kind, journal, ending):
    """Run the script to its end and return the exit code and what it said."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(ending=ending), kind, journal],
        cwd=folder,
        env=environment({"PYTHONPATH": str(ROOT)}),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    return done.returncode, done.stderr


def views(folder):
    with closing(sqlite3.connect(folder / "hits.db")) as connection:
        return connection.execute("SELECT coalesce(sum(views), 0) FROM hits").fetchone()[0]


@pytest.mark.parametrize(("kind", "journal"), [("native", "none"), ("exact", "none"), ("exact", "journal")])
@pytest.mark.parametrize("name", ENDINGS)
def test_the_last_flush_writes_what_is_pending(tmp_path, kind, journal, name):
    ending, code, units = ENDINGS[name]
    assert (end(tmp_path, kind, journal, ending)[0], views(tmp_path)) == (code, units)


@pytest.mark.parametrize("kind", ["native", "exact"])
@pytest.mark.parametrize("name", SUDDEN)
def test_the_next_start_has_what_a_sudden_end_left(tmp_path, kind, name):
    ending, code, units = SUDDEN[name]
    assert end(tmp_path, kind, "journal", ending)[0] == code
    assert views(tmp_path) == 0
    for times in (1, 2):
        code, said = end(tmp_path, kind, "journal", "")
        assert code == 0, said
        assert views(tmp_path) == units + 2 * times
