"""Every page of the guide runs, on the embedded store and on a server, and the guide leaves nothing out."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any, Optional
from uuid import UUID, uuid4

import pytest

from coodie import aio, batch, sync
from coodie.types import CqlDuration, python_type_to_cql_type_str
from tests.docs.pages import PROLOGUE, differences, program_of
from tests.integration.processes import ROOT, run

GUIDE = ROOT / "docs/guide"
PAGES = sorted(path for path in GUIDE.glob("*.md") if path.name != "index.md")
SECTIONS = {
    "Packages, modules, exported names": "connecting.md",
    "Connecting": "connecting.md",
    "Models": "documents.md",
    "Counter models": "counters.md",
    "Field markers": "fields-and-types.md",
    "Python to CQL types": "fields-and-types.md",
    "QuerySet": "queries.md",
    "Lookups and collection changes": "lookups-and-changes.md",
    "Results, paging": "paging-and-conditions.md",
    "Batches": "batches.md",
    "sync_table": "tables.md",
    "Exceptions": "errors.md",
    "Where the existing library is wrong": "from-coodie.md",
    "Daily and hourly counters": "time-series-counters.md",
}
EMBEDDED = 'driver_type="sqlite", database="guide.db"'
SERVER = 'hosts=["127.0.0.1"], keyspace="my_ks"'
EVERY_PAGE = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
NAMED = [date, datetime, time, UUID, Decimal, IPv4Address, IPv6Address, CqlDuration]
NAMES = {**{kind.__name__: kind for kind in NAMED}, "Optional": Optional}
PUBLIC = [sync.Document, sync.CounterDocument, sync.QuerySet, batch.BatchQuery, batch.AsyncBatchQuery]


def check(page: str, folder: Path, *, begin: str = "", **environment: str) -> None:
    """Run a page, after ``begin`` on its first line, and compare what it prints."""
    program = program_of(page)
    (folder / "page.py").write_text(program.source.replace(PROLOGUE, PROLOGUE + begin, 1))
    done = run(["page.py"], folder, **environment)
    assert done.returncode == 0, done.stderr.decode()
    different = list(differences(program.expected, done.stdout.decode()))
    assert not different, "\n".join(different)


@EVERY_PAGE
def test_a_page_runs_on_the_embedded_store(path: Path, tmp_path: Path) -> None:
    check(path.read_text(), tmp_path, COODIE_DRIVER="sqlite", COODIE_DATABASE="guide.db")


@EVERY_PAGE
def test_a_page_runs_on_a_server(path: Path, cassandra: Any, page_keyspace: str, tmp_path: Path) -> None:
    page = path.read_text().replace(EMBEDDED, SERVER).replace("127.0.0.1", cassandra.hosts[0])
    check(page.replace("my_ks", page_keyspace), tmp_path, COODIE_PORT=str(cassandra.port))


@pytest.fixture
def page_keyspace(cassandra_session: Any) -> Iterator[str]:
    """Give a keyspace of the page's own."""
    name = f"guide_{uuid4().hex[:12]}"
    replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
    cassandra_session.execute(f"CREATE KEYSPACE {name} WITH replication = {replication}")
    yield name
    cassandra_session.execute(f"DROP KEYSPACE {name}", timeout=60)


@EVERY_PAGE
def test_a_page_begins_with_code_and_ends_with_what_can_go_wrong(path: Path) -> None:
    headings = re.findall(r"^## (.*)$", path.read_text(), flags=re.MULTILINE)
    assert headings[-1] == "What can go wrong"
    assert path.read_text().index("```python") < path.read_text().index("\n## ")


def test_every_section_has_its_page_and_every_page_is_in_the_index() -> None:
    names = {path.name for path in PAGES}
    assert names == set(SECTIONS.values())
    assert set(re.findall(r"\]\(([a-z-]+\.md)\)", (GUIDE / "index.md").read_text())) == names


@EVERY_PAGE
def test_every_link_to_a_heading_leads_to_one(path: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#]*)#([^)]+)\)", path.read_text()):
        headings = re.findall(r"^#+ (.*)$", (path.parent / (target or path.name)).read_text(), flags=re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}, anchor


@pytest.mark.parametrize("owner", PUBLIC, ids=lambda owner: owner.__name__)
def test_every_public_method_is_in_the_guide(owner: type[Any]) -> None:
    guide = "".join(path.read_text() for path in PAGES)
    missing = [name for name in sorted(methods(owner)) if not re.search(rf"\b{name}\(", guide)]
    assert not missing, f"the guide says nothing of {', '.join(missing)} of {owner.__name__}"


@pytest.mark.parametrize("name", sorted({*sync.__all__, *aio.__all__}))
def test_every_name_of_a_face_is_in_the_guide(name: str) -> None:
    assert re.search(rf"\b{name}\b", "".join(path.read_text() for path in PAGES))


def test_the_table_of_types_is_true() -> None:
    page = (GUIDE / "fields-and-types.md").read_text()
    rows = re.findall(r"^\| (`.*`) \| `([^`]+)` \|", page.partition("## Markers")[0], flags=re.MULTILINE)
    assert len(rows) > 15
    for spelled, cql in rows:
        for annotation in re.findall(r"`([^`]+)`", spelled.replace("\\|", "|")):
            assert python_type_to_cql_type_str(eval(annotation, dict(NAMES))) == cql, annotation


def methods(owner: type[Any]) -> set[str]:
    """Return the public methods that a class has from coodie, not from pydantic."""
    ours = (vars(kind) for kind in owner.__mro__ if kind.__module__.startswith("coodie"))
    return {
        name
        for attributes in ours
        for name, value in attributes.items()
        if not name.startswith("_") and inspect.isfunction(getattr(value, "__func__", value))
    }


# --- the runner itself ------------------------------------------------------------------------------------------------

SMALL = """# Page

```python
x = 1
print(x)
```

```text
{printed}
```

| call | error | text |
|---|---|---|
| `[][x]` | `{error}` | `list ... out of range` |
| `int("a")` | `ValueError` | a word |
| `no code` | prose | prose |
"""


def test_the_runner_finds_what_a_page_says_wrongly(tmp_path: Path) -> None:
    check(SMALL.format(printed="1", error="IndexError"), tmp_path)
    for wrong in ({"printed": "2", "error": "IndexError"}, {"printed": "1", "error": "KeyError"}):
        with pytest.raises(AssertionError, match="and prints"):
            check(SMALL.format(**wrong), tmp_path)


def test_the_runner_asks_for_the_output_of_every_block(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="line 3 says"):
        check("# Page\n\n```python\nprint(1)\n```\n\nProse between.\n\n```text\n1\n```\n", tmp_path)


def test_a_traceback_leads_to_the_line_of_the_page(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"line 4, in <module>"):
        check("# Page\n\n```python\nno_such_name\n```\n", tmp_path)
