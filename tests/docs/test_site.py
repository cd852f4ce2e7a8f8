"""The site builds without a warning, needs nothing of the internet, and fits a telephone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.building import build
from tests.integration.processes import ROOT
from tests.web import chromium

DOCS = ROOT / "docs"
FROM_ELSEWHERE = re.compile(
    r'<(?:script|img|iframe)[^>]*\ssrc="(?:https?:)?//|<link[^>]*rel="(?!canonical)[^>]*="https?://'
)


def test_every_page_is_built(site: Path) -> None:
    for page in DOCS.rglob("*.md"):
        name = page.relative_to(DOCS).as_posix().replace("README.md", "index.md").replace(".md", ".html")
        assert (site / name).exists(), name


@pytest.mark.parametrize(
    ("page", "complaint"),
    [("[x](nowhere.md)", "nowhere.md"), ("[x](why.md#nowhere)", "#nowhere"), ("::: coodie.nothing", "coodie.nothing")],
)
def test_a_fault_of_a_page_fails_the_build(page: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    for name in ("index", "why"):
        (tmp_path / f"docs/{name}.md").write_text(f"# {name}\n\n{page}\n")
    configuration = (ROOT / "mkdocs.yml").read_text().partition("nav:\n  -")[0].replace("[.]", f"[{ROOT}]")
    (tmp_path / "mkdocs.yml").write_text(configuration)
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode != 0
    assert complaint in done.stderr


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    assert FROM_ELSEWHERE.search('<script defer src="https://cdn.example/x.js">')
    for page in site.rglob("*.html"):
        found = FROM_ELSEWHERE.search(page.read_text())
        assert not found, (page.name, found)


@pytest.mark.skipif(not chromium.IS_THERE, reason=chromium.MISSING)
def test_no_page_is_wider_than_a_telephone(site: Path) -> None:
    with chromium.browser() as browser:
        for page in sorted(site.rglob("*.html")):
            browser.show(page.as_uri(), width=390)
            assert browser.ask("document.documentElement.scrollWidth") <= 390, page.relative_to(site)
