"""
Faults of the existing library with counters, absent here: one test for each, named after it, on every store.

The list is section 11 of the API page; its other half stands in the files beside this one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import pytest

from coodie import drivers, sync
from coodie.exceptions import InvalidQueryError, MaybeApplied
from coodie.fields import ClusteringKey, Counter, Indexed, PrimaryKey
from tests.contract.counting import page_hits
from tests.contract.stores import Store, close_store, fresh, open_store
from tests.contract.watching import made, watched
from tests.support.proxy import Proxy

if TYPE_CHECKING:
    from cassandra.cluster import Session

    from tests.support.cassandra import Server

COUNTERS = Annotated[int, Counter()]


def test_the_guides_document_without_defaults_is_not_refused(store: Store, hits: Any, url: str) -> None:
    page = hits(url=url)
    assert (page.views, page.unique_visitors) == (0, 0)
    store.do(page.increment(views=1))
    assert store.do(hits.get(url=url)).views == 1


def test_a_counter_never_incremented_does_not_read_none(store: Store, hits: Any, url: str) -> None:
    store.do(hits(url=url).increment(views=1))
    assert store.do(hits.get(url=url)).unique_visitors == 0
    assert [page.unique_visitors for page in store.do(hits.find(url=url).all())] == [0]


BAD_DELTAS = {
    "empty": {},
    "unknown": {"likes": 1},
    "key": {"url": 1},
    "text": {"views": "1"},
    "float": {"views": 1.0},
    "bool": {"views": True},
    "none": {"views": None},
    "too large": {"views": 2**63},
    "too small": {"views": -(2**63) - 1},
}


@pytest.mark.parametrize("deltas", BAD_DELTAS.values(), ids=list(BAD_DELTAS))
@pytest.mark.parametrize("method", ["increment", "decrement"])
def test_bad_increments_do_not_reach_the_server(
    store: Store, hits: Any, url: str, method: str, deltas: dict[str, Any]
) -> None:
    with watched(store) as driver, pytest.raises(InvalidQueryError):
        getattr(hits(url=url), method)(**deltas)
    assert driver.sent == []


def test_other_writes_do_not_slip_past_the_refusal_of_save(store: Store, hits: Any, url: str) -> None:
    said = r"Counter tables do not support \w+\(\). Use increment\(\) or decrement\(\) instead\."
    page = hits(url=url)
    with watched(store) as driver:
        for call in (
            page.save_json,
            lambda: page.update(views=5),
            lambda: page.save(batch=object()),
            lambda: page.insert(batch=object()),
            lambda: hits.create(url=url, views=5),
        ):
            with pytest.raises(InvalidQueryError, match=said):
                call()
        with pytest.raises(InvalidQueryError, match=said):
            store.do(hits.find().create(url=url, views=5))
        with pytest.raises(InvalidQueryError):
            store.do(hits.find(url=url).update(views=5))
    assert driver.sent == []


KEY = Annotated[str, PrimaryKey()]
IMPOSSIBLE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "ttl": ({"url": KEY, "views": COUNTERS}, {"__default_ttl__": 60}),
    "index": ({"url": KEY, "views": Annotated[int, Counter(), Indexed()]}, {}),
    "key": ({"url": KEY, "views": Annotated[int, Counter(), ClusteringKey()]}, {}),
    "none": ({"url": KEY}, {}),
    "float": ({"url": KEY, "views": Annotated[float, Counter()]}, {}),
    "data": ({"url": KEY, "title": str, "views": COUNTERS}, {}),
}


@pytest.mark.parametrize(("columns", "settings"), IMPOSSIBLE.values(), ids=list(IMPOSSIBLE))
def test_impossible_counter_tables_do_not_reach_the_server(
    store: Store, columns: dict[str, Any], settings: dict[str, Any]
) -> None:
    with watched(store) as driver, pytest.raises(InvalidQueryError):
        store.do(made(store.face.CounterDocument, columns, settings).sync_table())
    assert driver.sent == []


def test_a_counter_is_not_deleted_without_a_word(store: Store, hits: Any, url: str) -> None:
    page = hits(url=url)
    store.do(page.increment(views=6))
    with pytest.warns(UserWarning, match=r"may bring its old value back.*Decrement the counters") as caught:
        store.do(page.delete())
    if store.face is sync:
        assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match=r"may bring its old value back"):
        store.do(hits.find(url=url).delete())


def test_the_order_of_names_does_not_make_two_statements_of_one_increment(store: Store, hits: Any, url: str) -> None:
    with watched(store) as driver:
        store.do(hits(url=url).increment(views=1, unique_visitors=2))
        store.do(hits(url=url).increment(unique_visitors=2, views=1))
        store.do(hits(url=url).decrement(unique_visitors=1, views=1))
    first, *others = [statement for statement in driver.sent if "SET" in statement.cql]
    assert len(others) == 2
    assert {statement.cql for statement in others} == {first.cql}
    assert others[0].values == first.values
    read = store.do(hits.get(url=url))
    assert (read.views, read.unique_visitors) == (1, 3)


def test_a_batch_of_counters_is_not_missing(store: Store, hits: Any) -> None:
    """The aggregator batches; a batch of texts remains for those who want one of the database's own."""
    if not store.is_cassandra:
        pytest.skip("a batch of texts is CQL")
    name = f"{store.driver._default_keyspace}.{hits.table_name()}"
    urls = [fresh("/page") for _ in range(2)]
    kind = getattr(store.face, "BatchQuery", None) or store.face.AsyncBatchQuery
    batch = kind(batch_type="COUNTER")
    for url in urls:
        batch.add(f"UPDATE {name} SET views = views + ? WHERE url = ?", [2, url])
    store.do(batch.execute())
    assert [store.do(hits.get(url=url)).views for url in urls] == [2, 2]


# --- retries ------------------------------------------------------------------------------------------------------


@pytest.fixture(params=[("cassandra", "sync"), ("cassandra", "aio"), ("acsylla", "aio")], ids="-".join)
def behind_proxy(
    request: pytest.FixtureRequest, cassandra: Server, keyspace: str, _default_kept: None
) -> Iterator[tuple[Store, Proxy]]:
    """Give a store whose messages can be lost."""
    with Proxy(cassandra.hosts[0], cassandra.port) as proxy:
        options = {"hosts": [proxy.address], "port": proxy.port, "keyspace": keyspace}
        store = open_store(*request.param, options)
        yield store, proxy
        close_store(store)


@pytest.fixture
def _default_kept() -> Iterator[None]:
    """Keep what other tests registered."""
    before, name = dict(drivers._registry), drivers._default_driver_name
    yield
    drivers._registry.update(before)
    drivers._default_driver_name = name


def test_a_counter_whose_reply_was_lost_is_not_sent_again(
    behind_proxy: tuple[Store, Proxy], cassandra_session: Session
) -> None:
    store, proxy = behind_proxy
    hits = store.table(page_hits(store))
    store.do(hits(url="/warm-up").increment(views=1))  # prepared, so that the fault meets the update itself
    fault = proxy.drop_reply('"views" = "views" + ?')
    with pytest.raises(MaybeApplied):
        store.do(hits(url="/lost").increment(views=1))
    assert fault.wait()
    name = f"{store.driver._default_keyspace}.{hits.table_name()}"
    assert cassandra_session.execute(f"SELECT views FROM {name} WHERE url = '/lost'").one().views == 1
