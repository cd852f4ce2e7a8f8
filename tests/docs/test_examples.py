"""
Every block of code on every page is run by a test, or says here why it is none.

Rules that live here: a page that is not in a table of this module has no code but Python that runs as it stands, with
what it prints behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.test_cli_pages import commands
from tests.docs.test_guide_pages import check
from tests.integration.processes import ROOT
from tests.servers.walks import walk

DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md"])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EVERY_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
# What a page's Python stands behind in an application, in one line.
BEGINS = {
    "delivery.md": "from aggregator import Aggregator; aggregator = Aggregator(mode='null').start()",
    "status.md": "from aggregator import Aggregator",
    "agent.md": "from aggregator import Aggregator",
    "operations.md": "",
    "tuning.md": "",
    "index.md": "",
    "frameworks/servers.md": "",
}
WALKED = ("quickstart.md",)
# Who runs the blocks of a page: the page, the languages, the test and the words by which it reads them.
ELSEWHERE = {
    "guide": ("python", "tests/docs/test_guide_pages.py", "GUIDE.glob"),
    **{
        f"frameworks/{name}.md": ("python sh", "tests/servers/test_pages.py", f'("{name}", ')
        for name in ("fastapi", "starlette", "flask", "django", "celery")
    },
    "README.md": ("python", "tests/docs/test_pages.py", "README.md"),
    "cli.md": ("sh", "tests/docs/test_cli_pages.py", "cli.md"),
    "metrics.md": ("python", "tests/unit/aggregator/test_metrics.py", "PAGE"),
    "intake.md": ("toml json bash js", "tests/agent/test_intake_agent.py", "PAGE"),
}
# Not run, and why.
NOT_RUN = {
    ("deploying.md", "sh"): "asks for Docker, a cluster or root; tests/deploy checks the files and their commands",
    ("README.md", "sh"): "make, pip and a log of the reader; commands and options are checked below",
    ("operations.md", "sh"): "asks for the reader's host and cluster; commands and options are checked below",
    ("frameworks/servers.md", "ini"): "configuration; test_uwsgi.py starts uWSGI with options of its own",
    ("guide/from-coodie.md", "sh"): "pip, on the reader's machine",
    ("reference/commands.md", "console"): "the form of a command, with placeholders",
}


@EVERY_PAGE
def test_somebody_runs_every_block(page: Path) -> None:
    rest = unrun(page.read_text(), page)
    assert not rest, f"nobody runs the blocks of {', '.join(rest)}: name here who does, or why nobody"


def unrun(text: str, page: Path) -> set[str]:
    """Return the languages of a page's blocks that no test runs and no reason excuses."""
    name = page.relative_to(ROOT if page.parent == ROOT else DOCS).as_posix()
    languages = {language for language, _ in BLOCK.findall(text)} - {"text"}
    allowed, test, words = ELSEWHERE.get(name) or ELSEWHERE.get(name.partition("/")[0]) or ("", "", "")
    assert not test or words in (ROOT / test).read_text(), f"{test} does not read {name} any more"
    mine = "python" if name in BEGINS else "python sh" if name in WALKED else ""
    return languages - {*allowed.split(), *mine.split()} - {language for path, language in NOT_RUN if path == name}


@pytest.mark.parametrize("name", BEGINS)
def test_a_page_runs(name: str, tmp_path: Path) -> None:
    begin = f"; {BEGINS[name]}" if BEGINS[name] else ""
    check((DOCS / name).read_text(), tmp_path, begin=begin)


def test_the_quickstart_leads_to_stored_hits(tmp_path: Path) -> None:
    walk(DOCS / "quickstart.md", tmp_path)


@EVERY_PAGE
def test_every_command_shown_is_one(page: Path) -> None:
    known = {path: {name for each in command.params for name in each.opts} for path, command in commands()}
    for command in commands_shown(page.read_text()):
        words = command.split("  #")[0].split()[1:]
        groups = [path for path in known if path[0] == words[0]]
        assert groups, (page.name, words)
        paths = [path for path in groups if path == tuple(words[: len(path)])]
        options = {re.sub(r"[^\w-].*", "", word.strip("[]")) for word in words if word.startswith(("--", "[--"))}
        assert options <= set().union(*(known[path] for path in paths or groups)) | {"--help"}, (page.name, words)


def commands_shown(page: str) -> Iterator[str]:
    """Yield the commands of ours that stand in blocks and in the text."""
    for _, block in BLOCK.findall(page):
        yield from re.findall(r"^aggregator [a-z].*", block, re.MULTILINE)
    yield from re.findall(r"^    (aggregator [a-z].*)", page, re.MULTILINE)
    yield from re.findall(r"(?<!`)`(aggregator [a-z][^`\n]*)`(?!`)", page)


@pytest.mark.parametrize("shown", ["`aggregator fly`", "    aggregator top --fast\n", "```sh\naggregator fly\n```\n"])
def test_a_command_that_is_none_is_found(shown: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(shown)
    with pytest.raises(AssertionError):
        test_every_command_shown_is_one(tmp_path / "page.md")


def test_a_block_that_nobody_runs_is_found() -> None:
    assert unrun("# x\n\n```python\nx\n```\n", DOCS / "journal.md") == {"python"}
    assert unrun("# x\n\n```sh\nx\n```\n", DOCS / "index.md") == {"sh"}
