"""
Every metric: its name, its kind, where its value stands in ``Stats``, and what it means for the counts.

Rules that live here:

* One table for Prometheus, OpenTelemetry, the docs, dashboards and alert rules. The name is Prometheus's; that of
  OpenTelemetry is the same without its suffix, and its exporters make the same one of it again.
* Units are net sums of deltas, and fall where an application decrements or a parked delta is resolved. So they are
  gauges (up-down counters in OpenTelemetry): ``rate()`` over a counter that falls takes it for a restart.
* No label holds a value of a key: tables, columns, signs and states are few.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from aggregator.core.records import Stats

STATES = ("ok", "backing_off", "suspended", "stopped")


class Metric(NamedTuple):
    """
    One metric.

    Attributes:
        name: as Prometheus shows it.
        kind: ``counter`` (only rises while the process lives), ``sum`` (of units, may fall) or ``gauge``.
        field: of ``Stats``; of ``ColumnStats`` where the labels begin with a table.
        unit: by the Unified Code for Units of Measure.
        help: one sentence.
        labels: their names.
        meaning: ``loss``, ``uncertainty`` or empty: what it says of the counts when it is not 0.
        across: how the values of several processes of one application are put together (Prometheus's names).
    """

    name: str
    kind: str
    field: str
    unit: str
    help: str
    labels: tuple[str, ...] = ()
    meaning: str = ""
    across: str = "livesum"

    @property
    def dotted(self) -> str:
        """The name in OpenTelemetry."""
        stem = self.name
        for suffix in ("_total", "_seconds", "_bytes"):
            stem = stem.removesuffix(suffix)
        return stem.replace("aggregator_", "aggregator.", 1)


COLUMN = ("table", "column")
SIGNED = ("table", "column", "sign")
LOSS, UNCERTAINTY = "loss", "uncertainty"


def _total(field: str, unit: str, text: str) -> Metric:
    return Metric(f"aggregator_{field}_total", "counter", field, unit, text, across="sum")


def _units(field: str, text: str, **more: Any) -> Metric:
    return Metric(f"aggregator_{field}_units", "sum", field, "{unit}", text, **({"labels": COLUMN} | more))


def _gauge(name: str, field: str, unit: str, text: str, **more: Any) -> Metric:
    return Metric(f"aggregator_{name}", "gauge", field, unit, text, **more)


METRICS = (
    _total("increments", "{increment}", "Calls accepted."),
    _total("statements", "{statement}", "Statements sent."),
    _total("flushes", "{flush}", "Flushes that sent something."),
    _total("flush_errors", "{statement}", "Statements that failed."),
    _units("accepted", "Units accepted."),
    _units("applied", "Units the database acknowledged."),
    _units("pending", "Units to be written."),
    _units("in_flight", "Units sent and not answered yet."),
    _units(
        "unknown", "Units parked: the database did not say what became of them.", labels=SIGNED, meaning=UNCERTAINTY
    ),
    _units(
        "dropped", "Units never to be written: refused, discarded, dropped by an option.", meaning=LOSS, across="sum"
    ),
    _gauge("rows_pending", "rows_pending", "{row}", "Rows to be written."),
    _gauge(
        "oldest_pending_seconds", "oldest_pending_s", "s", "Age of the oldest pending unit, at most.", across="livemax"
    ),
    _gauge(
        "last_flush_age_seconds", "last_flush_s", "s", "Time since the last flush; absent before.", across="livemax"
    ),
    _gauge("journal_bytes", "journal_bytes", "By", "Size of the journal's log."),
    _gauge("retry_in_seconds", "retry_in_s", "s", "Time to the next try of what failed, or 0.", across="livemax"),
    _gauge("state", "state", "{process}", "1 at the state the aggregator is in.", labels=("state",)),
)


def readings(stats: Stats, metric: Metric) -> Iterator[tuple[tuple[str, ...], float]]:
    """Yield the values of one metric, each with those of its labels."""
    if metric.labels == ("state",):
        yield from (((state,), float(state == stats.state)) for state in STATES)
    elif metric.labels:
        yield from _by_column(stats, metric)
    else:
        value = getattr(stats, metric.field)
        if value is not None:
            yield (), float(value)
        elif metric.field == "retry_in_s":
            yield (), 0.0


def _by_column(stats: Stats, metric: Metric) -> Iterator[tuple[tuple[str, ...], float]]:
    for table, columns in stats.tables.items():
        for column, account in columns.items():
            if metric.labels == SIGNED:
                yield (table, column, "positive"), account.unknown_positive
                yield (table, column, "negative"), account.unknown_negative
            else:
                yield (table, column), getattr(account, metric.field)
