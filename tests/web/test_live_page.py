"""The live page in a real Chromium: its figures, its two ways to them, its looks."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from coodie.testing import Fault
from tests.integration.processes import running
from tests.integration.test_demo import DEMO, address_of
from tests.support.models import PageHits
from tests.web.asking import ask, until
from tests.web.chromium import IS_THERE, MISSING, browser

pytestmark = pytest.mark.skipif(not IS_THERE, reason=MISSING)

SCALARS = (
    "increments",
    "statements",
    "flushes",
    "applied",
    "pending",
    "in_flight",
    "unknown",
    "dropped",
    "rows_pending",
)
READ_STATE = "document.getElementById('state').textContent"
CELLS = """Object.fromEntries([...document.querySelectorAll('#tables tr[data-column]')].map(row =>
    [row.dataset.column, Object.fromEntries([...row.querySelectorAll('[data-field]')].map(cell =>
        [cell.dataset.field, cell.innerText]))]))"""
CONTRAST = """[...document.querySelectorAll('h1, h2, p, dt, dd, th, td, #state, small, footer')]
    .filter(each => each.offsetParent && each.innerText.trim())
    .map(each => {
        let behind = each;
        while (getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') behind = behind.parentElement;
        return [each.innerText, getComputedStyle(each).color, getComputedStyle(behind).backgroundColor];
    })"""


@pytest.fixture(scope="module")
def chromium():
    with browser() as page:
        yield page


@pytest.fixture
def busy(serve, store):
    """Give an aggregator with something in every figure of its page, and where that is."""
    aggregator, url = serve()
    for number in range(15):
        for _ in range(1000 + number):
            PageHits(url=f"/articles/{number}-with-a-name-that-is-too-long-for-one-line-of-a-phone").increment(views=1)
    aggregator.flush()
    for fault, page in ((Fault.REPLY_LOST, "/parked"), (Fault.ROW_REFUSED, "/refused")):
        store.fault = fault
        PageHits(url=page).increment(views=7, unique_visitors=1)
        aggregator.flush()
    store.fault = Fault.NONE
    PageHits(url="/<b>next</b>").increment(views=2)
    return aggregator, url


def plain(text):
    return int(text.replace(",", ""))


@pytest.mark.parametrize(("width", "dark"), [(1200, False), (1200, True), (390, False), (390, True)])
def test_it_shows_the_figures_and_can_be_read(busy, chromium, tmp_path, width, dark):
    _, url = busy
    chromium.show(url, width=width, dark=dark)
    stats = ask(url, "/stats.json").json
    account = list(stats["tables"]["page_hits"]["views"])[:6]
    until(lambda: chromium.number("#pending") == stats["pending"])
    assert {name: chromium.number(f"#{name}") for name in SCALARS} == {name: stats[name] for name in SCALARS}
    cells = {column: {name: plain(text) for name, text in row.items()} for column, row in chromium.ask(CELLS).items()}
    assert cells == {
        f"page_hits.{column}": {name: figures[name] for name in account}
        for column, figures in stats["tables"]["page_hits"].items()
    }
    assert chromium.text("#identity").endswith("✓")
    hottest = ask(url, "/top.json?n=12").json
    assert chromium.text("#hottest td").startswith(hottest[0]["key"]["url"])
    assert chromium.number("#hottest td + td") == hottest[0]["increments"]
    until(lambda: chromium.ask("document.querySelectorAll('#apart tr').length") == 2)
    assert "page_hits · /parked" in chromium.text("#apart")
    assert chromium.ask(READ_STATE) == "live"
    assert chromium.ask("document.documentElement.scrollWidth") <= width
    assert chromium.complaints() == []
    assert [found for found in map(faint, chromium.ask(CONTRAST)) if found] == []
    chromium.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 10_000


def faint(seen):
    """Return a text whose contrast is below what WCAG asks for (4.5), with its colours; else None."""
    colours = seen[1:]
    lighter, darker = sorted((luminance(colour) for colour in colours), reverse=True)
    return None if (lighter + 0.05) / (darker + 0.05) >= 4.5 else seen


def luminance(colour):
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_assistive_technology_finds_its_way(busy, chromium):
    """A language, a heading per section in order, names for the charts, heads for the tables, news told."""
    _, url = busy
    chromium.show(url, width=390)
    until(lambda: chromium.ask(READ_STATE) == "live")
    assert chromium.ask("document.documentElement.lang") == "en"
    levels = chromium.ask("[...document.querySelectorAll('h1, h2, h3')].map(each => +each.tagName[1])")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert chromium.ask("[...document.querySelectorAll('svg')].every(each => each.getAttribute('aria-label'))")
    assert chromium.ask("[...document.querySelectorAll('table')].every(each => each.hasAttribute('aria-labelledby'))")
    assert chromium.ask("[...document.querySelectorAll('th')].every(each => each.scope === 'col')")
    assert chromium.ask("document.querySelector('#state').getAttribute('role')") == "status"


def test_keys_are_text_and_never_markup(busy, chromium):
    aggregator, url = busy
    aggregator.flush()
    for _ in range(5000):
        PageHits(url="/<img src=x onerror=alert(1)>").increment(views=1)
    aggregator.flush()
    chromium.show(url)
    until(lambda: "<img" in chromium.text("#hottest"))
    assert chromium.ask("document.querySelectorAll('img, b').length") == 0


def test_it_follows_what_happens_and_says_when_the_server_is_gone(serve, store, chromium):
    aggregator, url = serve()
    chromium.show(url)
    until(lambda: chromium.ask(READ_STATE) == "live")
    PageHits(url="/a").increment(views=12)
    until(lambda: chromium.number("#pending") == 12)
    store.serve_real()
    PageHits.drop_table()
    PageHits(url="/a").increment(views=1)
    aggregator.flush()
    until(lambda: chromium.ask(READ_STATE) == "suspended")
    assert "suspended." in chromium.text("#trouble")
    aggregator.shutdown(timeout=1)
    until(lambda: chromium.ask(READ_STATE).startswith("ended"))


def test_without_a_stream_it_asks_again_and_again(serve, chromium, monkeypatch):
    monkeypatch.setattr("aggregator.web.stream.MOST", 0)
    _, url = serve()
    chromium.show(url)
    until(lambda: chromium.ask(READ_STATE) == "live")
    assert ask(url, "/events").status == 503
    PageHits(url="/a").increment(views=3)
    until(lambda: chromium.number("#pending") == 3)


def test_the_page_of_the_demo_lives(chromium, tmp_path):
    with running([*DEMO, "--seconds", "20"], tmp_path) as process:
        chromium.show(address_of(process))
        until(lambda: chromium.number("#applied") > 100)
        assert chromium.ask(READ_STATE) == "live"
        assert chromium.text("#hottest td").startswith("/articles/")
        process.kill()
