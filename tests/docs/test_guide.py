"""
The guide's text, typed as it stands, as programs of their own: which store they use is the environment's choice alone.

Rules that live here: the guide's lines are not changed; its snippets are put in the order in which they can run, and
followed by what its "Restrictions" say.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.relay import on_localhost
from tests.integration.processes import run

MODEL = """
from coodie.fields import PrimaryKey, Counter
from typing import Annotated
from uuid import UUID

class PageHits(CounterDocument):
    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()]
    unique_visitors: Annotated[int, Counter()]

    class Settings:
        name = "page_hits"
"""

SYNC = f"""
from coodie.sync import CounterDocument, init_coodie

init_coodie(hosts=["127.0.0.1"], keyspace="my_ks")
{MODEL}
PageHits.sync_table() # sync

page = PageHits(url="/home")
page.increment(views=1) # sync

# Increment multiple counters at once
page.increment(views=1, unique_visitors=1)

page.decrement(views=1) # sync

page = PageHits.get(url="/home") # sync
print(page.views, page.unique_visitors)

for refused in (page.save, page.insert):
    try:
        refused()
    except Exception as error:
        print(type(error).__name__, error)
"""

ASYNC = f"""
import asyncio

from coodie.aio import CounterDocument, init_coodie
{MODEL}
async def main():
    await init_coodie(hosts=["127.0.0.1"], keyspace="my_ks")

    await PageHits.sync_table() # async

    page = PageHits(url="/home")
    await page.increment(views=1) # async

    # Increment multiple counters at once
    await page.increment(views=1, unique_visitors=1)

    await page.decrement(views=1) # async

    page = await PageHits.get(url="/home") # async
    print(page.views, page.unique_visitors)

    for refused in (page.save, page.insert):
        try:
            await refused()
        except Exception as error:
            print(type(error).__name__, error)

asyncio.run(main())
"""

REFUSED = [
    f"InvalidQueryError Counter tables do not support {method}(). Use increment() or decrement() instead."
    for method in ("save", "insert")
]


def typed(program: str, folder: Path, **environment: Any) -> list[str]:
    """Return what a program prints."""
    done = run(["-c", program], folder, **environment)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().splitlines()


PROGRAMS = pytest.mark.parametrize("program", [SYNC, ASYNC], ids=["sync", "async"])


@PROGRAMS
@pytest.mark.parametrize("first_line", ["", "from __future__ import annotations\n"], ids=["plain", "future"])
def test_the_guide_runs_on_the_embedded_store(program: str, first_line: str, tmp_path: Path) -> None:
    environment = {"COODIE_DRIVER": "sqlite", "COODIE_DATABASE": "guide.db"}
    assert typed(first_line + program, tmp_path, **environment) == ["1 1", *REFUSED]
    assert typed(first_line + program, tmp_path, **environment) == ["2 2", *REFUSED]


@PROGRAMS
@pytest.mark.parametrize("driver", ["cassandra", "acsylla"])
def test_the_guide_runs_on_a_server(
    program: str, driver: str, guide_server: int, cassandra_session: Any, tmp_path: Path
) -> None:
    cassandra_session.execute("DROP TABLE IF EXISTS my_ks.page_hits")
    environment = {"COODIE_DRIVER": driver, "COODIE_PORT": str(guide_server)}
    assert typed(program, tmp_path, **environment) == ["1 1", *REFUSED]
    assert typed(program, tmp_path, **environment) == ["2 2", *REFUSED]


@pytest.fixture(scope="module")
def guide_server(cassandra: Any, cassandra_session: Any) -> Iterator[int]:
    """Give the port of a Cassandra on 127.0.0.1 that has the guide's keyspace."""
    replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
    cassandra_session.execute(f"CREATE KEYSPACE IF NOT EXISTS my_ks WITH replication = {replication}")
    with on_localhost(cassandra) as port:
        yield port
    cassandra_session.execute("DROP KEYSPACE my_ks", timeout=60)
