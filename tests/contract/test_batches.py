"""Batches on every store: several writes sent as one, on both faces."""

from __future__ import annotations

import asyncio
import itertools
import warnings
from collections.abc import Callable
from typing import Annotated, Any

import pytest

import coodie
import coodie.batch
from coodie import aio, drivers, sync
from coodie.connections import resolve
from coodie.exceptions import CoodieError, InvalidQueryError, RowRejected
from coodie.fields import ClusteringKey, Counter, PrimaryKey
from coodie.results import LWTResult
from tests.contract.stores import Store, fresh


def items_model(store: Store) -> Any:
    """Return a model of items in carts."""

    class Item(store.face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        cart: Annotated[str, PrimaryKey()]
        number: Annotated[int, ClusteringKey()]
        name: str | None = None
        tags: set[str] = set()

        class Settings:
            name = fresh("items")

    return Item


@pytest.fixture
def items(store: Store) -> Any:
    """Give the model on a table that the tests share: each fills a cart of its own."""
    return store.once("items", items_model)


@pytest.fixture
def cart() -> str:
    """Give a cart no other test fills."""
    return fresh("cart")


def opened(store: Store, **options: Any) -> Any:
    """Return a batch of the store's face."""
    return sync.BatchQuery(**options) if store.face is sync else aio.AsyncBatchQuery(**options)


def within(store: Store, batch: Any, *calls: Callable[[Any], Any]) -> None:
    """Make calls in the block of a batch, on the face of the store."""
    if store.face is sync:
        with batch as entered:
            for call in calls:
                call(entered)
        return

    async def block() -> None:
        async with batch as entered:
            for call in calls:
                answer = call(entered)
                if asyncio.iscoroutine(answer):
                    await answer

    store.runner.run(block())


def names(store: Store, items: Any, cart: str) -> dict[int, str | None]:
    return {item.number: item.name for item in store.do(items.find(cart=cart).all())}


def test_the_names_are_where_users_look_for_them() -> None:
    assert coodie.BatchQuery is coodie.batch.BatchQuery is sync.BatchQuery
    assert coodie.AsyncBatchQuery is coodie.batch.AsyncBatchQuery is aio.AsyncBatchQuery


@pytest.mark.parametrize("options", [{}, {"logged": False}, {"batch_type": "UNLOGGED"}, {"batch_type": "logged"}])
def test_writes_are_sent_on_leaving(store: Store, items: Any, cart: str, options: dict[str, Any]) -> None:
    store.do(items(cart=cart, number=3, name="old", tags={"a"}).save())
    batch = opened(store, **options)

    def nothing_yet(entered: Any) -> None:
        assert entered is batch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # delete_columns() always warns
        within(
            store,
            batch,
            lambda entered: items(cart=cart, number=1, name="one").save(batch=entered),
            lambda entered: items(cart=cart, number=2, name="two").save(batch=entered),
            nothing_yet,
            lambda entered: items(cart=cart, number=3).delete_columns("name", batch=entered),
        )
    assert names(store, items, cart) == {1: "one", 2: "two", 3: None}
    assert batch.result is None


def test_nothing_is_sent_before(store: Store, items: Any, cart: str) -> None:
    batch = opened(store)
    assert store.do(items(cart=cart, number=1).save(batch=batch)) is None
    assert names(store, items, cart) == {}
    assert store.do(batch.execute()) is None
    assert names(store, items, cart) == {1: None}
    store.do(items(cart=cart, number=1).delete())
    assert store.do(batch.execute()) is None  # it was sent once, and is empty now
    assert names(store, items, cart) == {}


def test_a_deletion_wins_over_what_the_batch_writes(store: Store, items: Any, cart: str) -> None:
    batch = opened(store)
    for write in (items(cart=cart, number=1).delete, items(cart=cart, number=1, name="one").save):
        store.do(write(batch=batch))
    store.do(items(cart=cart, number=2).save(batch=batch))
    store.do(batch.execute())
    assert names(store, items, cart) == {2: None}


def test_an_exception_keeps_it_from_being_sent(store: Store, items: Any, cart: str) -> None:
    def fail(entered: Any) -> None:
        raise KeyError(entered)

    batch = opened(store)
    with pytest.raises(KeyError):
        within(store, batch, lambda entered: items(cart=cart, number=1).save(batch=entered), fail)
    assert names(store, items, cart) == {}
    within(store, batch, lambda entered: items(cart=cart, number=2).save(batch=entered))
    assert list(names(store, items, cart)) == [2]  # entering cleared it


def test_what_was_executed_in_the_block_is_not_sent_again(store: Store, items: Any, cart: str) -> None:
    batch = opened(store)
    within(
        store,
        batch,
        lambda entered: items(cart=cart, number=1, name="new").insert(batch=entered),
        lambda entered: entered.execute(),
    )
    assert batch.result == LWTResult(True, None)  # of the one time
    assert names(store, items, cart) == {1: "new"}
    within(store, batch)
    assert batch.result is None


def test_documents_and_texts_share_a_batch(store: Store, items: Any, cart: str) -> None:
    table = resolve(items)[1].full_name
    store.do(items(cart=cart, number=1, name="old").save())
    batch = opened(store)
    batch.add(f"UPDATE {table} SET name = ? WHERE cart = ? AND number = ?;  ", ["new", cart, 1])
    store.do(items(cart=cart, number=2, name="two").save(batch=batch))
    batch.add(f"DELETE FROM {table} WHERE cart = 'none' AND number = 1")
    assert store.do(batch.execute()) is None
    assert names(store, items, cart) == {1: "new", 2: "two"}


def test_a_batch_with_conditions_is_applied_as_a_whole_or_not(store: Store, items: Any, cart: str) -> None:
    batch = opened(store)
    first, second = items(cart=cart, number=1, name="one"), items(cart=cart, number=2, name="two")
    within(store, batch, lambda entered: first.insert(batch=entered), lambda entered: second.save(batch=entered))
    assert batch.result == LWTResult(True, None)
    third = items(cart=cart, number=3)
    store.do(third.save(batch=batch))
    store.do(items(cart=cart, number=1, name="other").insert(batch=batch))
    refused = store.do(batch.execute())
    assert (refused.applied, refused.existing["name"], batch.result) == (False, "one", refused)
    assert names(store, items, cart) == {1: "one", 2: "two"}
    store.do(first.delete(if_conditions={"name": "else"}, batch=batch))
    refused = store.do(batch.execute())
    assert (refused.applied, refused.existing) == (False, {"cart": cart, "number": 1, "name": "one"})
    store.do(first.delete(if_exists=True, batch=batch))
    store.do(third.save(batch=batch))
    assert store.do(batch.execute()) == LWTResult(True, None)
    assert list(names(store, items, cart)) == [2, 3]


def test_one_row_has_conditions_of_one_kind(store: Store, items: Any, cart: str) -> None:
    item = items(cart=cart, number=1, name="one")
    kinds: dict[str, Callable[[Any], Any]] = {
        "missing": lambda batch: item.insert(batch=batch),
        "there": lambda batch: item.delete(if_exists=True, batch=batch),
        "asked": lambda batch: item.delete(if_conditions={"name": None}, batch=batch),
    }
    for first, second in itertools.permutations(kinds.values(), 2):
        batch = opened(store)
        store.do(first(batch))
        store.do(second(batch))
        with pytest.raises(RowRejected, match=r"(?i)cannot mix"):
            store.do(batch.execute())
    batch = opened(store)
    store.do(kinds["missing"](batch))
    store.do(items(cart=cart, number=2).delete(if_conditions={"name": None}, batch=batch))
    assert store.do(batch.execute()).applied  # of two rows
    assert names(store, items, cart) == {1: "one"}


def test_conditions_in_several_partitions_are_refused(store: Store, items: Any, cart: str) -> None:
    batch = opened(store)
    store.do(items(cart=cart, number=1).insert(batch=batch))
    store.do(items(cart=f"other {cart}", number=1).insert(batch=batch))
    with pytest.raises(CoodieError):
        store.do(batch.execute())
    assert names(store, items, cart) == {}


def test_a_timestamp_is_of_every_write(store: Store, items: Any, cart: str) -> None:
    batch = opened(store, timestamp=5_000)
    store.do(items(cart=cart, number=1, name="late").save(batch=batch))
    batch.add(f"DELETE FROM {resolve(items)[1].full_name} WHERE cart = ? AND number = ?", (cart, 2))
    if not store.is_cassandra:
        with pytest.raises(InvalidQueryError, match=r"no write timestamps"):
            store.do(batch.execute())
        return
    store.do(batch.execute())
    assert store.do(items.find(cart=cart).writetime("name")) == 5_000


# --- counters -----------------------------------------------------------------------------------------------------


def hits_model(store: Store) -> Any:
    """Return the guide's model on a table of its own."""

    class Hits(store.face.CounterDocument):  # type: ignore[name-defined,misc]  # a face chosen at run time
        url: Annotated[str, PrimaryKey()]
        views: Annotated[int, Counter()]

        class Settings:
            name = fresh("hits")

    return Hits


def test_counters_are_updated_by_a_batch_of_texts(store: Store) -> None:
    hits, url = store.once("hits", hits_model), fresh("/page")
    store.do(hits(url=url).increment(views=1))
    batch = opened(store, batch_type="COUNTER")
    for delta in (2, 3):
        batch.add(f"UPDATE {resolve(hits)[1].full_name} SET views = views + ? WHERE url = ?", [delta, url])
    assert store.do(batch.execute()) is None
    assert store.do(hits.get(url=url)).views == 6


def test_documents_and_counters_share_no_batch(store: Store, items: Any, cart: str) -> None:
    hits = store.once("hits", hits_model)
    with pytest.raises(InvalidQueryError, match=r"batch_type=\"COUNTER\""):
        store.do(items(cart=cart, number=1).save(batch=opened(store, batch_type="COUNTER")))
    with warnings.catch_warnings(), pytest.raises(InvalidQueryError, match=r"batch_type=\"COUNTER\""):
        warnings.simplefilter("ignore")
        store.do(hits(url="/").delete(batch=opened(store)))


# --- refusals -----------------------------------------------------------------------------------------------------


def test_what_a_batch_cannot_be_is_refused(store: Store, items: Any, cart: str) -> None:
    item = items(cart=cart, number=1)
    for options, said in (
        ({"batch_type": "FAST"}, r"batch_type='FAST' is not known; allowed: LOGGED, UNLOGGED, COUNTER"),
        ({"timestamp": "now"}, r"timestamp takes an integer"),
        ({"timestamp": -1}, r"timestamp takes an integer"),
    ):
        with pytest.raises(InvalidQueryError, match=said):
            opened(store, **options)
    timed = opened(store, timestamp=5)
    for call, said in (
        (lambda: item.save(batch=timed, timestamp=6), r"to the batch and to a write in it"),
        (lambda: item.insert(batch=timed), r"with a condition takes no timestamp"),
        (lambda: item.save(batch=object()), r"takes a BatchQuery or AsyncBatchQuery, not object"),
    ):
        with pytest.raises(InvalidQueryError, match=said):
            store.do(call())
    for bad in ("", " ; ", None):
        with pytest.raises(InvalidQueryError, match=r"text of a statement is wanted"):
            timed.add(bad)
    for params in ("abc", {"a": 1}, 5):
        with pytest.raises(InvalidQueryError, match=r"params takes a list"):
            timed.add("DELETE FROM t WHERE a = ?", params)
    assert store.do(timed.execute()) is None  # nothing of it is left


def test_a_batch_has_one_consistency(store: Store, items: Any, cart: str) -> None:
    batch = opened(store)
    store.do(items(cart=cart, number=1).save(batch=batch, consistency="LOCAL_QUORUM", timeout=9.0))
    store.do(items(cart=cart, number=2).save(batch=batch))
    with pytest.raises(InvalidQueryError, match=r"one consistency, and its writes name LOCAL_QUORUM and ONE"):
        store.do(items(cart=cart, number=3).save(batch=batch, consistency="one"))
    store.do(batch.execute())
    assert list(names(store, items, cart)) == [1, 2]


def test_a_document_of_another_connection_is_refused(store: Store, items: Any, cart: str) -> None:
    class Elsewhere(items):  # type: ignore[misc]  # a class made at run time
        class Settings:
            name = items.table_name()
            connection = "elsewhere"

    drivers.register_driver("elsewhere", sync.init_coodie(driver_type="sqlite", database=":memory:", name="elsewhere"))
    drivers.register_driver("default", store.driver, default=True)
    try:
        with pytest.raises(InvalidQueryError, match=r"Elsewhere .*connection 'elsewhere'.*default one"):
            store.do(Elsewhere(cart=cart, number=1).save(batch=opened(store)))
    finally:
        drivers._registry.pop("elsewhere").close()


def test_a_wrong_number_of_values_is_refused(store: Store, items: Any, cart: str) -> None:
    batch = opened(store)
    batch.add(f"UPDATE {resolve(items)[1].full_name} SET name = ? WHERE cart = ? AND number = ?", ["x", cart])
    with pytest.raises(InvalidQueryError):
        store.do(batch.execute())
    assert names(store, items, cart) == {}
    assert store.do(batch.execute()) is None
