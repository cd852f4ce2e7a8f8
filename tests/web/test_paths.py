"""What the status endpoint answers, asked over real HTTP."""

from __future__ import annotations

import json
import re
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from aggregator import Aggregator
from coodie.fields import ClusteringKey, Counter, PrimaryKey
from coodie.sync import CounterDocument
from coodie.testing import Fault
from tests.support.models import PageHits
from tests.web.asking import ask

AGES = ("oldest_pending_s", "last_flush_s", "retry_in_s")


class OddHits(CounterDocument):
    """A key of the types JSON does not know."""

    site: Annotated[uuid.UUID, PrimaryKey()]
    part: Annotated[bytes, PrimaryKey(partition_key_index=1)]
    at: Annotated[datetime, ClusteringKey()]
    views: Annotated[int, Counter()]

    class Settings:
        name = "odd_hits"


def count(pages, times=1):
    for page in range(pages):
        for _ in range(times * (page + 1)):
            PageHits(url=f"/{page}").increment(views=1)


def without_ages(stats):
    return {name: value for name, value in stats.items() if name not in AGES}


def test_the_statistics_are_those_of_the_aggregator(serve):
    aggregator, url = serve()
    count(5)
    aggregator.flush()
    count(2)
    shown = ask(url, "/stats.json")
    assert shown.headers["content-type"] == "application/json"
    assert list(shown.json) == list(aggregator.stats().__struct_fields__)
    assert without_ages(shown.json) == without_ages(json.loads(msgspec.json.encode(aggregator.stats())))
    assert shown.json["accepted"] == 18


def test_the_figures_of_the_page_are_the_same(serve):
    aggregator, url = serve()
    count(3)
    aggregator.flush()
    figures = ask(url, "/figures.json").json
    assert figures.items() >= without_ages(ask(url, "/stats.json").json).items()
    assert figures["hottest"][0] == {"table": "page_hits", "row": "/2", "increments": 3}


def test_the_hottest_rows(serve):
    aggregator, url = serve()
    count(5)
    aggregator.flush()
    assert ask(url, "/top.json?n=2").json == [
        {"table": "page_hits", "key": {"url": f"/{page}"}, "increments": page + 1} for page in (4, 3)
    ]
    assert len(ask(url, "/top.json").json) == len(ask(url, "/top.json?table=page_hits").json) == 5
    assert ask(url, "/top.json?table=other").json == []


@pytest.mark.parametrize("n", ["0", "-1", "1001", "ten", "", "9" * 5000])
def test_how_many_is_bounded(serve, n):
    _, url = serve()
    refused = ask(url, f"/top.json?n={n or '%20'}")
    assert refused.status == 400
    assert "1 to 1000" in refused.text


def test_keys_of_any_type_are_shown(serve):
    OddHits.sync_table()
    aggregator, url = serve()
    site = uuid.uuid4()
    OddHits(site=site, part=b"\xff", at=datetime(2026, 1, 2, tzinfo=UTC)).increment(views=3)
    aggregator.flush()
    shown = ask(url, "/top.json").json
    assert shown[0]["key"] == {"site": str(site), "part": "/w==", "at": "2026-01-02T00:00:00Z"}


def test_readiness_follows_the_state_and_health_does_not(serve, store):
    store.serve_real()
    aggregator, url = serve()
    assert ask(url, "/ready")[:2] == (200, "ready\n")
    PageHits.drop_table()
    PageHits(url="/a").increment(views=1)
    aggregator.flush()
    away = ask(url, "/ready")
    assert away.status == 503
    assert away.text.startswith("suspended: ")
    assert "page_hits" in away.text
    assert ask(url, "/healthz")[:2] == (200, "ok\n")
    PageHits.sync_table()
    aggregator.flush()
    assert ask(url, "/ready").status == 200


def test_the_metrics_are_found_there(serve):
    aggregator, url = serve()
    count(4)
    aggregator.flush()
    shown = ask(url, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    families = {family.name: family for family in text_string_to_metric_families(shown.text)}
    assert families["aggregator_increments"].samples[0].value == 10
    applied = {(s.labels["table"], s.labels["column"]): s.value for s in families["aggregator_applied_units"].samples}
    assert applied == {("page_hits", "views"): 10, ("page_hits", "unique_visitors"): 0}
    assert ask(url, "/metrics").headers["content-type"].startswith("text/plain; version=0.0.4")


def test_without_prometheus_client_the_extra_is_named(serve, monkeypatch):
    monkeypatch.delitem(sys.modules, "aggregator.metrics.prometheus", raising=False)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    _, url = serve()
    missing = ask(url, "/metrics")
    assert missing.status == 501
    assert "coodie-aggregator[metrics]" in missing.text


def test_head_other_methods_and_other_paths(serve):
    _, url = serve()
    head = ask(url, "/stats.json", "HEAD")
    assert (head.status, head.text) == (200, "")
    assert int(head.headers["content-length"]) > 100
    refused = ask(url, "/stats.json", "DELETE")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")
    assert ask(url, "/resolve").headers["allow"] == "POST"
    unknown = ask(url, "/stats")
    assert unknown.status == 404
    assert "/stats.json" in unknown.text


def test_what_cannot_be_answered_is_logged_and_counting_goes_on(serve, monkeypatch, caplog):
    aggregator, url = serve()
    monkeypatch.setattr(aggregator, "top", lambda n, table: 1 / 0)
    assert ask(url, "/top.json").status == 500
    assert "/top.json" in caplog.text
    monkeypatch.undo()
    assert ask(url, "/top.json").status == 200


def test_parked_and_refused_rows_are_listed(serve, store):
    aggregator, url = serve()
    store.fault = Fault.REPLY_LOST
    PageHits(url="/parked").increment(views=2, unique_visitors=1)
    aggregator.flush()
    store.fault = Fault.ROW_REFUSED
    PageHits(url="/refused").increment(views=3)
    aggregator.flush()
    (parked,), (refused,) = ask(url, "/unknown.json").json, ask(url, "/rejected.json").json
    item = aggregator.unknown()[0]
    assert parked.pop("id") != refused["id"]
    assert datetime.fromisoformat(parked.pop("at")) == item.at
    assert parked == {
        "table": "page_hits",
        "key": {"url": "/parked"},
        "deltas": {"views": 2, "unique_visitors": 1},
        "times": 1,
        "reason": item.reason,
        "connection": "default",
    }
    assert (refused["key"], refused["deltas"]) == ({"url": "/refused"}, {"views": 3})


def test_the_page_of_the_docs_names_every_path(serve):
    page = (Path(__file__).parents[2] / "docs/status.md").read_text()
    named = re.findall(r"^\| `(?:POST )?(/[\w.]*)", page, flags=re.MULTILINE)
    _, url = serve()
    told = re.search("see (.*)", ask(url, "/nowhere").text)
    assert told is not None
    assert sorted(named) == sorted(told[1].split(", "))
    program = re.search(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert program is not None
    exec(program[1], {"Aggregator": Aggregator})
