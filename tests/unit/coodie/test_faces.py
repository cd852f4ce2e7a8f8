"""Documents and QuerySets of both faces on the embedded store, and where increments go."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

import pytest

from coodie import aio, connections, counters, drivers, sync
from coodie.exceptions import InvalidQueryError, NotApplied
from coodie.fields import Counter, PrimaryKey
from coodie.statement import Rows, Select, Statement
from tests.unit.coodie.models import PageHits, Post

# --- refusals -----------------------------------------------------------------------------------------------------


class AioHits(aio.CounterDocument):
    """The guide's table, awaited."""

    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()]
    unique_visitors: Annotated[int, Counter()]

    class Settings:
        name = "page_hits"


HITS = pytest.mark.parametrize("hits", [PageHits, AioHits], ids=["sync", "aio"])


@HITS
@pytest.mark.parametrize(
    ("method", "said"),
    [("save", "save"), ("insert", "insert"), ("save_json", "save_json"), ("update", "update"), ("create", "save")],
)
def test_writes_of_counters_are_refused_at_the_call_without_a_connection(hits: Any, method: str, said: str) -> None:
    with pytest.raises(InvalidQueryError) as caught:
        getattr(hits(url="/"), method)()
    assert str(caught.value) == f"Counter tables do not support {said}(). Use increment() or decrement() instead."


@HITS
def test_no_argument_slips_past_a_refusal(hits: Any) -> None:
    page = hits(url="/")
    calls: list[Callable[[], Any]] = [
        lambda: page.save(batch=object()),
        lambda: page.save(ttl=5),
        lambda: page.insert(batch=object()),
        lambda: page.update(views=1, if_exists=True),
        lambda: hits.create(url="/", views=5),
    ]
    for call in calls:
        with pytest.raises(InvalidQueryError, match=r"Counter tables do not support"):
            call()


def test_creating_through_a_queryset_is_refused() -> None:
    with pytest.raises(InvalidQueryError, match=r"do not support save"):
        PageHits.find().create(url="/")
    with pytest.raises(InvalidQueryError, match=r"do not support save"):
        asyncio.run(AioHits.find().create(url="/"))


# --- on the embedded store ----------------------------------------------------------------------------------------


class Recording:
    """The embedded store, noting what it is sent."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.sent: list[Statement] = []

    def submit(self, statement: Statement) -> Rows:
        self.sent.append(statement)
        rows: Rows = self.driver.submit(statement)
        return rows

    async def submit_async(self, statement: Statement) -> Rows:
        self.sent.append(statement)
        rows: Rows = await self.driver.submit_async(statement)
        return rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self.driver, name)

    @property
    def counts(self) -> int:
        """How many COUNTs were sent."""
        shapes = [statement.shape for statement in self.sent]
        return sum(isinstance(shape, Select) and bool(shape.columns) for shape in shapes)


@pytest.fixture
def store() -> Iterator[Recording]:
    recording = Recording(connections.init_coodie(driver_type="sqlite", database=":memory:"))
    drivers.register_driver("default", recording, default=True)
    PageHits.sync_table()
    for number in range(5):
        PageHits(url=f"/{number}").increment(views=number + 1)
    recording.sent.clear()
    yield recording
    drivers._registry.clear()
    recording.driver.close()


def test_listing_counts_nothing(store: Recording) -> None:
    assert sorted(page.url for page in list(PageHits.find())) == ["/0", "/1", "/2", "/3", "/4"]
    assert len([*PageHits.find()]) == 5
    assert len(tuple(PageHits.find().fetch_size(2))) == 5
    assert len(sorted(PageHits.find(), key=lambda page: page.views)) == 5
    assert store.counts == 0


def test_len_counts_in_the_database(store: Recording) -> None:
    pages = PageHits.find()
    assert len(pages) == 5
    for _ in pages:
        assert len(pages) == 5
    assert store.counts == 6
    assert len(PageHits.find().limit(2)) == 2


def test_the_length_of_a_begun_iteration_is_exact_over_pages(store: Recording) -> None:
    pages = PageHits.find().fetch_size(2)
    begun = iter(pages)
    assert len(pages) == 5
    assert len(list(begun)) == 5
    assert store.counts == 0


def test_truth_asks_for_one_row_and_counts_nothing(store: Recording) -> None:
    assert PageHits.find()
    assert not PageHits.find(url="/none")
    assert store.counts == 0
    assert {statement.values[-1] for statement in store.sent} == {1}


def test_an_aio_queryset_iterates_over_all_pages(store: Recording) -> None:
    async def urls() -> list[str]:
        return [page.url async for page in AioHits.find().fetch_size(2)]

    assert sorted(asyncio.run(urls())) == ["/0", "/1", "/2", "/3", "/4"]
    assert len(store.sent) == 3


def test_paging_carries_its_state(store: Recording) -> None:
    first = PageHits.find().fetch_size(3).paged_all()
    assert len(first.data) == 3
    second = PageHits.find().fetch_size(3).page(first.paging_state).paged_all()
    assert second.paging_state is None
    assert len({page.url for page in first.data + second.data}) == 5


def test_an_increment_is_one_statement_and_leaves_the_instance_alone(store: Recording) -> None:
    page = PageHits(url="/0")
    page.increment(views=2, unique_visitors=1)
    page.decrement(views=1)
    assert len(store.sent) == 2
    assert page == PageHits(url="/0")
    assert PageHits.get(url="/0") == PageHits(url="/0", views=2, unique_visitors=1)


def test_an_aio_increment_checks_at_the_call_and_writes_when_awaited(store: Recording) -> None:
    with pytest.raises(InvalidQueryError, match=r"'views'"):
        AioHits(url="/0").increment(views=True)

    async def add() -> None:
        await AioHits(url="/0").increment(views=4)
        await AioHits(url="/0").decrement(views=1)

    asyncio.run(add())
    assert PageHits.get(url="/0").views == 4
    assert len(store.sent) == 3


def test_a_counter_called_self_can_be_incremented(store: Recording) -> None:
    class Odd(sync.CounterDocument):
        id: Annotated[int, PrimaryKey()]
        deltas: Annotated[int, Counter()]

    Odd.sync_table()
    Odd(id=1).increment(deltas=3)
    assert Odd.get(id=1).deltas == 3
    assert store.sent


def test_deleting_a_counter_warns_and_deletes(store: Recording) -> None:
    with pytest.warns(UserWarning, match=r"may bring its old value back.*Decrement") as caught:
        PageHits(url="/0").delete()
    assert caught[0].filename == __file__
    assert PageHits.find_one(url="/0") is None
    assert store.sent


def test_deleting_a_document_does_not_warn(store: Recording) -> None:
    Post.sync_table()
    post = Post.create(author="ann", number=1, title="T")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        post.delete()
    assert Post.find_one(author="ann") is None
    assert store.sent


def test_drift_is_warned_of(store: Recording, caplog: pytest.LogCaptureFixture) -> None:
    class Fewer(sync.CounterDocument):
        url: Annotated[str, PrimaryKey()]
        views: Annotated[int, Counter()]

        class Settings:
            name = "page_hits"

    with caplog.at_level("WARNING", logger="coodie"):
        assert len(Fewer.sync_table()) == 1
    assert caplog.messages == [
        "Schema drift detected: columns {'unique_visitors'} exist in page_hits but are not defined in the model"
    ]
    assert store.sent


def test_a_dropped_table_is_created_again(store: Recording) -> None:
    assert PageHits.sync_table() == []
    PageHits.drop_table()
    assert len(PageHits.sync_table()) == 1
    assert PageHits.find().all() == []
    assert store.sent


def test_an_abstract_base_has_no_table() -> None:
    class Base(sync.CounterDocument):
        url: Annotated[str, PrimaryKey()]

        class Settings:
            __abstract__ = True

    assert Base.sync_table() == []


# --- with a sink installed ----------------------------------------------------------------------------------------


class Taking:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, Mapping[str, int]]] = []
        self.held: dict[tuple[Any, ...], Mapping[str, int]] = {}
        self.emptied: list[tuple[str, type[Any]]] = []

    def add(self, document: Any, deltas: Mapping[str, int]) -> Any:
        self.taken.append((document.url, deltas))
        return asyncio.sleep(0) if isinstance(document, aio.CounterDocument) else None

    def compiled(self, model: type[Any]) -> None:
        return None

    def pending(self, model: type[Any], key: tuple[Any, ...]) -> Mapping[str, int] | None:
        return self.held.get(key)

    def flush(self, model: type[Any]) -> Any:
        return asyncio.sleep(0) if issubclass(model, aio.CounterDocument) else None

    def halt(self, model: type[Any]) -> Any:
        self.emptied.append(("halt", model))
        return self.flush(model)

    def resume(self, model: type[Any]) -> None:
        self.emptied.append(("resume", model))

    def forget(self, model: type[Any]) -> None:
        self.emptied.append(("forget", model))


@pytest.fixture
def sink() -> Iterator[Taking]:
    taking = Taking()
    counters.install(taking)
    yield taking
    counters.remove(taking)


def test_with_a_sink_nothing_is_sent(store: Recording, sink: Taking) -> None:
    PageHits(url="/0").increment(views=1)
    PageHits(url="/0").decrement(views=2, unique_visitors=3)
    assert sink.taken == [("/0", {"views": 1}), ("/0", {"views": -2, "unique_visitors": -3})]
    assert store.sent == []
    with pytest.raises(InvalidQueryError, match=r"'views'"):
        PageHits(url="/0").decrement(views="1")  # type: ignore[arg-type]  # what is refused is the case


def test_an_aio_increment_is_taken_before_it_is_awaited(sink: Taking) -> None:
    async def add() -> None:
        first = AioHits(url="/0").increment(views=1)
        second = AioHits(url="/0").decrement(views=1)
        assert sink.taken == [("/0", {"views": 1}), ("/0", {"views": -1})]
        await first
        await second

    asyncio.run(add())


def test_reads_add_what_the_sink_holds(store: Recording, sink: Taking) -> None:
    sink.held = {("/0",): {"views": 10}, ("/new",): {"views": 7}}
    assert PageHits.get(url="/0").views == 11
    assert {page.url: page.views for page in PageHits.find()}["/0"] == 11
    assert PageHits.get(url="/new").views == 7
    assert PageHits.find_one(url="/none") is None
    assert asyncio.run(AioHits.get(url="/new")).views == 7
    assert store.sent


def test_emptying_a_table_halts_the_sink_and_makes_it_forget(store: Recording, sink: Taking) -> None:
    PageHits.truncate()
    asyncio.run(AioHits.drop_table())
    assert sink.emptied == [("halt", PageHits), ("forget", PageHits), ("halt", AioHits), ("forget", AioHits)]
    assert store.sent


def test_a_table_that_could_not_be_emptied_goes_on_counting(
    store: Recording, sink: Taking, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(statement: Any) -> Any:
        raise NotApplied("no")

    monkeypatch.setattr(store, "submit", refuse)
    with pytest.raises(NotApplied):
        PageHits.truncate()
    assert sink.emptied == [("halt", PageHits), ("resume", PageHits)]
