"""The table of metrics, its page, and what Prometheus and OpenTelemetry make of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

import aggregator
from aggregator import Aggregator
from aggregator.core.records import ColumnStats, Stats
from aggregator.metrics import opentelemetry, prometheus
from aggregator.metrics.names import METRICS, STATES
from coodie.testing import Fault
from tests.support.models import PageHits

PAGE = (Path(__file__).parents[3] / "docs/metrics.md").read_text()
MEANINGS = {"**data loss**": "loss", "**uncertain**": "uncertainty", "": ""}
NOT_SHOWN = {
    "coalescing": "increments / statements, over any time",
    "last_error": "a text",
    "tables": "the labels of the units",
}


def test_the_page_has_the_table_of_the_code():
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| `agg")
    ]
    shown = [
        (name.strip("`"), kind, tuple(re.findall(r"`(\w+)`", labels)), unit.strip("`"), MEANINGS[meaning], text)
        for name, kind, labels, unit, meaning, text in rows
    ]
    assert shown == [(each.name, each.kind, each.labels, each.unit, each.meaning, each.help) for each in METRICS]


def test_every_name_the_page_asks_for_exists():
    names = {metric.name for metric in METRICS}
    assert set(re.findall(r"aggregator_\w+", PAGE)) == names
    assert set(re.findall(r"`(aggregator\.[a-z]\w*)`", PAGE)) <= {metric.dotted for metric in METRICS}


def test_every_figure_is_a_metric_or_left_out_with_a_reason():
    fields = {metric.field for metric in METRICS}
    assert fields | set(NOT_SHOWN) == set(Stats.__struct_fields__)
    assert set(ColumnStats.__struct_fields__) - fields == {"unknown_positive", "unknown_negative"}  # its signs


def test_loss_and_doubt_are_marked():
    assert {metric.field: metric.meaning for metric in METRICS if metric.meaning} == {
        "unknown": "uncertainty",
        "dropped": "loss",
    }


@pytest.fixture
def counted(store):
    """Give an aggregator with units in every state a quiet one can hold, of both signs."""
    with Aggregator(flush_interval=None, flush_jitter=0.0) as made:
        PageHits(url="/applied").increment(views=5, unique_visitors=2)
        made.flush()
        for fault, page in ((Fault.REPLY_LOST, "/unknown"), (Fault.ROW_REFUSED, "/dropped")):
            store.faults = lambda statement, fault=fault: fault
            PageHits(url=page).increment(views=3)
            made.flush()
        store.faults = lambda statement: Fault.REPLY_LOST
        PageHits(url="/less").decrement(views=1)
        made.flush()
        store.faults = lambda statement: Fault.NONE
        PageHits(url="/applied").increment(views=1)
        made.flush()
        PageHits(url="/pending").increment(views=4)
        yield made


def expected(stats):
    """Return the values of the metrics by name and labels, made from the statistics by hand."""
    found = {
        ("increments_total", ()): stats.increments,
        ("statements_total", ()): stats.statements,
        ("flushes_total", ()): stats.flushes,
        ("flush_errors_total", ()): stats.flush_errors,
        ("rows_pending", ()): stats.rows_pending,
        ("journal_bytes", ()): stats.journal_bytes,
        ("retry_in_seconds", ()): 0.0,
    }
    found |= {("state", (("state", state),)): float(state == stats.state) for state in STATES}
    for column, account in stats.tables["page_hits"].items():
        labels = (("column", column), ("table", "page_hits"))
        for name in ("accepted", "applied", "pending", "in_flight", "dropped"):
            found[f"{name}_units", labels] = getattr(account, name)
        for sign in ("positive", "negative"):
            found["unknown_units", (labels[0], ("sign", sign), labels[1])] = getattr(account, f"unknown_{sign}")
    return {(f"aggregator_{name}", labels): value for (name, labels), value in found.items()}


def scraped(text):
    ages = ("aggregator_oldest_pending_seconds", "aggregator_last_flush_age_seconds")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name not in ages
    }


def test_prometheus_scrapes_the_statistics(counted):
    registry = CollectorRegistry()
    prometheus.register(counted, registry)
    found = scraped(generate_latest(registry).decode())
    assert found == expected(counted.stats())
    views = (("column", "views"), ("table", "page_hits"))
    assert found["aggregator_accepted_units", views] == 5 + 3 + 3 - 1 + 1 + 4
    assert found["aggregator_dropped_units", views] == 3
    assert found["aggregator_unknown_units", (views[0], ("sign", "negative"), views[1])] == -1
    assert "/unknown" not in generate_latest(registry).decode()


def test_a_second_aggregator_in_one_registry_is_refused(counted):
    registry = CollectorRegistry()
    prometheus.register(counted, registry)
    with pytest.raises(ValueError, match="Duplicated"):
        prometheus.register(counted, registry)


def test_one_that_is_not_started_shows_nothing_counted():
    registry = CollectorRegistry()
    prometheus.register(Aggregator(), registry)
    found = scraped(generate_latest(registry).decode())
    assert found["aggregator_state", (("state", "stopped"),)] == 1
    assert found["aggregator_increments_total", ()] == 0


class Readings:
    """The real SDK, in memory."""

    def __init__(self, made=None):
        self._reader = InMemoryMetricReader()
        self.provider = MeterProvider([self._reader], shutdown_on_exit=False)
        opentelemetry.register(self.provider, aggregator=made)

    def read(self):
        data = self._reader.get_metrics_data()
        metrics = [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics] if data else []
        self.units = {metric.name: metric.unit for metric in metrics}
        self.monotonic = {metric.name: getattr(metric.data, "is_monotonic", None) for metric in metrics}
        return {
            (metric.name, tuple(sorted(point.attributes.items()))): point.value
            for metric in metrics
            for point in metric.data.data_points
        }


def test_opentelemetry_reads_the_statistics(counted):
    readings = Readings(counted)
    found = readings.read()
    dotted = {metric.name: metric.dotted for metric in METRICS}
    for (name, labels), value in expected(counted.stats()).items():
        assert found[dotted[name], labels] == value, name
    assert readings.units == {metric.dotted: metric.unit for metric in METRICS}
    kinds = {"counter": True, "sum": False, "gauge": None}
    assert readings.monotonic == {metric.dotted: kinds[metric.kind] for metric in METRICS}
    readings.provider.shutdown()


def test_each_reading_of_opentelemetry_is_of_one_instant(counted, monkeypatch):
    taken = []
    real = counted.stats
    monkeypatch.setattr(counted, "stats", lambda: taken.append(1) or real())
    readings = Readings(counted)
    for times in (1, 2, 3):
        PageHits(url="/more").increment(views=1)
        found = readings.read()
        assert len(taken) == times
        assert found["aggregator.increments", ()] == real().increments
    readings.provider.shutdown()


def test_opentelemetry_shows_the_started_one_where_none_is_named(store):
    readings = Readings()
    assert readings.read() == {}
    with Aggregator(flush_interval=None) as made:
        PageHits(url="/a").increment(views=1)
        assert aggregator.current() is made
        assert readings.read()["aggregator.increments", ()] == 1
    assert readings.read() == {}
    readings.provider.shutdown()


def test_the_programs_of_the_page_run(monkeypatch):
    registry = CollectorRegistry()
    monkeypatch.setattr(prometheus, "REGISTRY", registry)
    first, second = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    names: dict[str, object] = {}
    exec(first, names)
    assert b"aggregator_state" in generate_latest(registry)
    exec(second, names)


def test_what_waits_for_its_backoff_grows_old(store):
    """A flush that holds a suspended table back writes nothing, and makes nothing of it younger."""
    store.serve_real()
    with Aggregator(flush_interval=None) as made:
        PageHits.drop_table()
        PageHits(url="/a").increment(views=1)
        made.flush()
        before = made.stats().oldest_pending_s
        made._machine.engine.flush(asked=False, timeout=1)  # as the periodic one, before the backoff is over
        assert made.stats().state == "suspended"
        assert made.stats().oldest_pending_s > before
        PageHits.sync_table()
