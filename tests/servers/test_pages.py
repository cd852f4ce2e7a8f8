"""The page of each framework leads from nothing to a running counter."""

from __future__ import annotations

import shutil

import pytest

from tests.integration.processes import ROOT, stored
from tests.servers.walks import walk

PAGES = ROOT / "docs/frameworks"

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="no curl, with which the pages ask: install curl")


@pytest.mark.parametrize(
    ("page", "more"),
    [
        ("fastapi", {"/home": 101, "/forgotten": 1}),
        ("starlette", {"/home": 100}),
        ("flask", {"/home": 101, "/": 2, "/loaded": 1000}),
        ("django", {"/home": 100, "/order": 10}),
        ("celery", {}),
    ],
)
def test_the_page_leads_to_a_running_counter(page, more, tmp_path):
    walk(PAGES / f"{page}.md", tmp_path)
    assert stored(tmp_path / "hits.db") == {"/about": 100, **more}


WALK = """# Page

```python
# hello.py
print("hello")
```

```sh
python hello.py
```

```text
{printed}
```
"""


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (WALK.replace("print(", "raise SystemExit("), "hello.py\nhello"),
        (WALK.replace("# hello.py\n", ""), "names no file"),
        (WALK.replace("```sh", "```toml"), "nobody checks a block of toml"),
        (WALK.replace("python hello.py", "pip install 'coodie-aggregator[zope]'"), "there is no extra zope"),
    ],
)
def test_a_page_that_does_not_lead_on_is_found(page, words, tmp_path):
    (tmp_path / "page.md").write_text(page)
    with pytest.raises(AssertionError, match=words.replace("[", r"\[")):
        walk(tmp_path / "page.md", tmp_path)


def test_a_page_that_promises_another_answer_is_found(tmp_path, monkeypatch):
    (tmp_path / "page.md").write_text(WALK.format(printed="bye"))
    monkeypatch.setattr("tests.servers.walks.LIMIT_S", 0.5)
    with pytest.raises(AssertionError, match="and not\nbye"):
        walk(tmp_path / "page.md", tmp_path)
