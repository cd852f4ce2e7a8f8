"""Updates and deletions of counters through QuerySets, on every store."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import pytest

from coodie import counters
from coodie.exceptions import InvalidQueryError
from coodie.fields import ClusteringKey, Counter, PrimaryKey
from tests.contract.stores import Store, fresh
from tests.contract.writing import WritingSink


def hits_model(store: Store) -> Any:
    """Return a model of counters per site and day."""

    class Hits(store.face.CounterDocument):  # type: ignore[name-defined,misc]  # a face chosen at run time
        site: Annotated[str, PrimaryKey()]
        day: Annotated[date, ClusteringKey()]
        views: Annotated[int, Counter()]
        likes: Annotated[int, Counter()]

        class Settings:
            name = fresh("hits")

    return Hits


@pytest.fixture
def hits(store: Store) -> Any:
    """Give the model on a table that the tests share: each counts a site of its own."""
    return store.once("hits", hits_model)


DAY = date(2024, 5, 1)


def test_updating_counters_adds_and_subtracts(store: Store, hits: Any) -> None:
    site = fresh("site")
    rows = hits.find(site=site, day=DAY)
    assert store.do(rows.update(views__add=5, likes__remove=2)) is None
    assert store.do(rows.update(views__remove=1)) is None
    assert store.do(rows.update()) is None
    read = store.do(hits.get(site=site, day=DAY))
    assert (read.views, read.likes) == (4, -2)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda rows: rows.update(views=5), r"changed by __add and __remove, not by 'views'"),
        (lambda rows: rows.update(views__prepend=5), r"not by 'views__prepend'"),
        (lambda rows: rows.update(views__add=1, views__remove=1), r"'views' is changed twice"),
        (lambda rows: rows.update(views__add="1"), r"'views' takes an integer"),
        (lambda rows: rows.update(nothing__add=1), r"'nothing'"),
        (lambda rows: rows.update(site__add=1), r"'site'"),
        (lambda rows: rows.update(ttl=5, views__add=1), r"nothing else is asked for"),
        (lambda rows: rows.ttl(5).update(views__add=1), r"nothing else is asked for"),
        (lambda rows: rows.timestamp(5).update(views__add=1), r"nothing else is asked for"),
        (lambda rows: rows.if_exists().update(views__add=1), r"nothing else is asked for"),
        (lambda rows: rows.consistency("ALL").update(views__add=1), r"nothing else is asked for"),
        (lambda rows: rows.update(if_conditions={"site": "x"}, views__add=1), r"nothing else is asked for"),
        (lambda rows: rows.limit(1).update(views__add=1), r"nothing else is asked for"),
        (lambda rows: type(rows)(rows._model).filter(site="x").update(views__add=1), r"names each of the key"),
        (
            lambda rows: type(rows)(rows._model).filter(site="x", day__in=[DAY]).update(views__add=1),
            r"names each of the key",
        ),
        (lambda rows: rows.create(site="x", day=DAY), r"Counter tables do not support save"),
    ],
)
def test_nothing_else_changes_a_counter(store: Store, hits: Any, call: Any, said: str) -> None:
    site = fresh("site")
    with pytest.raises(InvalidQueryError, match=said):
        store.do(call(hits.find(site=site, day=DAY)))
    assert store.do(hits.find(site=site).count()) == 0


def test_deleting_rows_of_counters_warns(store: Store, hits: Any) -> None:
    site = fresh("site")
    store.do(hits(site=site, day=DAY).increment(views=1))
    with pytest.warns(UserWarning, match=r"A deleted counter is not a counter at zero"):
        store.do(hits.find(site=site).delete())
    assert store.do(hits.find(site=site).count()) == 0
    with (
        pytest.warns(UserWarning, match=r"A deleted counter"),
        pytest.raises(InvalidQueryError, match=r"without conditions and timestamps"),
    ):
        store.do(hits.find(site=site, day=DAY).if_exists().delete())


def test_an_update_of_counters_goes_through_the_sink(store: Store, hits: Any) -> None:
    site, sink = fresh("site"), WritingSink("w")
    counters.install(sink)
    try:
        store.do(hits.find(site=site, day=DAY).update(views__add=5, likes__remove=2))
    finally:
        counters.remove(sink)
    assert list(sink.totals.values()) == [{"views": 5, "likes": -2}]
    assert list(sink.totals) == [(hits, (site, DAY))]
    assert store.do(hits.find(site=site).count()) == 0
