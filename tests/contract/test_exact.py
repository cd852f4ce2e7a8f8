"""Exact tables on every store: sums over writers that look like the rows of a native table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import pytest

from coodie import connections, counters
from coodie.cql import render
from coodie.exceptions import ConfigurationError, DocumentNotFound, InvalidQueryError, RowRejected, TableRejected
from coodie.fields import ClusteringKey, Counter, PrimaryKey, VarInt
from coodie.plans import exact
from coodie.plans.counters import update
from coodie.run import run
from coodie.statement import ReadOptions, Statement
from tests.contract.stores import Store, fresh
from tests.contract.writing import WritingSink, put


def page_hits(store: Store, table: str | None = None, kind: str = "exact", *, more: bool = False) -> Any:
    """Return the guide's model on a table of its own."""

    class PageHits(store.face.CounterDocument):  # type: ignore[name-defined,misc]  # a face chosen at run time
        url: Annotated[str, PrimaryKey()]
        views: Annotated[int, Counter()]

        class Settings:
            name = table or fresh("page_hits")
            counters = kind

    class WiderHits(PageHits):
        unique_visitors: Annotated[int, Counter()]

    return WiderHits if more else PageHits


def daily_hits(store: Store) -> Any:
    """Return a model with two key columns of either role."""

    class DailyHits(store.face.CounterDocument):  # type: ignore[name-defined,misc]  # a face chosen at run time
        site: Annotated[str, PrimaryKey(partition_key_index=0)]
        section: Annotated[UUID, PrimaryKey(partition_key_index=1)]
        day: Annotated[datetime, ClusteringKey(order="DESC")]
        hour: Annotated[int, ClusteringKey(clustering_key_index=1)]
        hits: Annotated[int, Counter()]

        class Settings:
            name = fresh("daily_hits")
            counters = "exact"

    return DailyHits


SECTION = UUID("11111111-2222-3333-4444-555555555555")
DAYS = [datetime(2024, 5, day, tzinfo=UTC) for day in (1, 2, 3)]
ROWS = [(day, hour) for day in reversed(DAYS) for hour in (0, 1)]  # as they are stored: the latest day first


@pytest.fixture
def hits(store: Store) -> Any:
    """Give the guide's model, exact, on a table that the tests share: each counts urls of its own."""
    return store.once("exact", page_hits)


@pytest.fixture
def daily(store: Store) -> Any:
    """Give a model with two sites of six rows, each row with three writers; the tests only read."""
    if "daily" not in store.shared:
        model = store.once("daily", daily_hits)
        for site, factor in (("a", 1), ("b", 100)):
            for number, (day, hour) in enumerate(ROWS, 1):
                for writer in "ABC":
                    put(model, (site, SECTION, day, hour), writer, hits=number * factor)
    return store.shared["daily"]


@pytest.fixture
def url() -> str:
    """Give a url no other test counts."""
    return fresh("/exact")


@contextmanager
def installed(sink: Any) -> Iterator[Any]:
    """Install a sink for the time of a test."""
    counters.install(sink)
    try:
        yield sink
    finally:
        counters.remove(sink)


# --- reading ------------------------------------------------------------------------------------------------------


def test_a_row_is_the_sum_of_its_writers(store: Store, hits: Any, url: str) -> None:
    for writer, views in (("h/0/a", 5), ("h/1/b", -2), ("i/0/c", 10)):
        put(hits, (url,), writer, views=views)
    put(hits, (fresh("/other"),), "h/0/a", views=1000)
    assert store.do(hits.get(url=url)) == hits(url=url, views=13)
    assert store.do(hits.find_one(url=url)).views == 13
    assert store.do(hits.find(url=url).first()).views == 13
    assert store.do(hits.find(url__in=[url]).count()) == 1


def test_a_row_that_nobody_wrote_is_not_there(store: Store, hits: Any, url: str) -> None:
    assert store.do(hits.find_one(url=url)) is None
    assert store.do(hits.find(url=url).count()) == 0
    with pytest.raises(DocumentNotFound, match=r"No PageHits found"):
        store.do(hits.get(url=url))


def test_a_counter_that_only_some_writers_have_is_summed_over_those(store: Store) -> None:
    name = fresh("page_hits")
    put(store.table(page_hits(store, name)), ("/a",), "A", views=1)
    put(page_hits(store, name), ("/b",), "A", views=2)
    wider = page_hits(store, name, more=True)
    altered = store.do(wider.sync_table())[1:]
    assert [text.split(" ADD ")[1] for text in altered] == ['"unique_visitors" bigint']
    put(wider, ("/a",), "B", views=10, unique_visitors=3)
    found = {row.url: (row.views, row.unique_visitors) for row in store.do(wider.find().all())}
    assert found == {"/a": (11, 3), "/b": (2, 0)}


@pytest.mark.parametrize("size", [None, 1, 4, 100])
@pytest.mark.parametrize(
    ("lookups", "expected"),
    [
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"day": DAYS[1]}, [3, 4]),
        ({"day__gt": DAYS[0]}, [1, 2, 3, 4]),
        ({"day__in": [DAYS[0], DAYS[2]]}, [1, 2, 5, 6]),
        ({"day": DAYS[0], "hour": 1}, [6]),
        ({"day": DAYS[0], "hour__in": []}, []),
    ],
    ids=str,
)
def test_rows_are_found_counted_and_paged_as_those_of_a_native_table(
    store: Store, daily: Any, lookups: dict[str, Any], expected: list[int], size: int | None
) -> None:
    rows = daily.find(site="a", section=SECTION, **lookups)
    rows = rows if size is None else rows.fetch_size(size)
    assert [row.hits for row in store.do(rows.all())] == [3 * number for number in expected]
    assert [row.hits for row in store.listed(rows)] == [3 * number for number in expected]
    assert store.do(rows.count()) == len(expected)
    assert [row.hits for row in store.do(rows.limit(3).all())] == [3 * number for number in expected[:3]]
    assert store.do(rows.limit(3).count()) == len(expected[:3])


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_pages_count_rows_and_carry_what_is_left_of_the_limit(store: Store, daily: Any, limit: int) -> None:
    rows = daily.find(site="a", section=SECTION).limit(limit).fetch_size(2)
    page = store.do(rows.paged_all())
    assert [row.hits for row in page.data] == [3, 6][:limit]
    rest = [] if page.paging_state is None else store.listed(rows.page(page.paging_state))
    assert [row.hits for row in rest] == [9, 12, 15][: max(0, limit - 2)]


def test_rows_come_in_the_order_asked_for(store: Store, daily: Any) -> None:
    rows = daily.find(site="a", section=SECTION)
    backwards = store.do(rows.order_by("day", "-hour").all())
    assert [row.hits for row in backwards] == [18, 15, 12, 9, 6, 3]
    assert [row.hits for row in store.do(rows.order_by("day", "-hour").limit(2).all())] == [18, 15]


def test_rows_of_several_partitions_are_told_apart(store: Store, daily: Any) -> None:
    found = store.do(daily.find(site__in=["a", "b"], section=SECTION, day=DAYS[2]).all())
    assert {(row.site, row.hour): row.hits for row in found} == {
        ("a", 0): 3, ("a", 1): 6, ("b", 0): 300, ("b", 1): 600
    }  # fmt: skip
    assert store.do(daily.find().count()) == 12
    assert len(store.do(daily.find(hour=1).allow_filtering().all())) == 6
    assert sorted(row.hits for row in store.listed(daily.find().fetch_size(5))) == sorted(
        3 * number * factor for number in range(1, 7) for factor in (1, 100)
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_a_sum_beyond_64_bits_is_refused_and_one_that_only_passes_there_is_not(
    store: Store, hits: Any, url: str, sign: int
) -> None:
    put(hits, (url,), "A", views=sign * (2**63 - 1))
    put(hits, (url,), "B", views=sign * (2**63 - 1))
    with pytest.raises(RowRejected, match=r"'views' .* more than 64 bits in 1 of 1 rows"):
        store.do(hits.get(url=url))
    put(hits, (url,), "C", views=-sign * (2**63 - 1))
    assert store.do(hits.get(url=url)).views == sign * (2**63 - 1)


def test_what_a_buffer_holds_is_added_to_the_sum(store: Store, hits: Any, url: str) -> None:
    class Pending(WritingSink):
        def pending(self, model: type[Any], key: tuple[Any, ...]) -> dict[str, int]:
            return {"views": 7}

    put(hits, (url,), "A", views=5)
    with installed(Pending("B")):
        assert store.do(hits.get(url=url)).views == 12
        assert store.do(hits.get(url=fresh("/new"))).views == 7


# --- writing ------------------------------------------------------------------------------------------------------


def own_row(model: Any, key: tuple[Any, ...], writer: str) -> Any:
    driver, table = connections.resolve(model)
    return run(exact.own_row(table, key, writer), driver)


def test_a_write_that_is_repeated_or_comes_late_changes_nothing(store: Store, hits: Any, url: str) -> None:
    for timestamp, views in ((100, 5), (200, 8), (200, 8), (100, 5), (150, 7)):
        put(hits, (url,), "A", timestamp, views=views)
    assert own_row(hits, (url,), "A") == {"views": (8, 200)}
    assert own_row(hits, (url,), "B") == {}


def test_a_column_without_a_value_is_left_out_of_the_own_row(store: Store) -> None:
    name = fresh("page_hits")
    put(store.table(page_hits(store, name)), ("/",), "A", 100, views=1)
    wider = store.table(page_hits(store, name, more=True))
    assert own_row(wider, ("/",), "A") == {"views": (1, 100)}
    put(wider, ("/",), "A", 200, views=1, unique_visitors=2)
    assert own_row(wider, ("/",), "A") == {"views": (1, 200), "unique_visitors": (2, 200)}


def test_keys_of_every_kind_are_written_and_summed(store: Store) -> None:
    class Odd(store.face.CounterDocument):  # type: ignore[name-defined,misc]  # a face chosen at run time
        amount: Annotated[int, PrimaryKey(), VarInt()]
        at: Annotated[datetime, ClusteringKey()]
        hits: Annotated[int, Counter()]

        class Settings:
            name = fresh("odd")
            counters = "exact"

    store.table(Odd)
    keys = [(10**30, DAYS[0]), (-1, DAYS[0]), (-1, DAYS[1])]
    for key in keys:
        put(Odd, key, "A", hits=1)
        put(Odd, key, "B", hits=2)
    assert [store.do(Odd.get(amount=amount, at=at)).hits for amount, at in keys] == [3, 3, 3]
    driver, table = connections.resolve(Odd)
    assert sorted(key for key, _ in run(exact.rows_of(table, "B"), driver)) == sorted(keys)
    driver.submit(exact.fold_row(table, keys[0], "A", {"hits": 3}, 2 * 10**15, "B", 2 * 10**15))
    assert store.do(Odd.get(amount=keys[0][0], at=keys[0][1])).hits == 3
    assert run(exact.writers(table), driver) == ["A", "B"]


def test_increments_without_an_aggregator_are_refused(store: Store, hits: Any, url: str) -> None:
    for change in ("increment", "decrement"):
        with pytest.raises(ConfigurationError, match=r"need a started Aggregator; nothing was written"):
            getattr(hits(url=url), change)(views=1)
    assert store.do(hits.find_one(url=url)) is None


def test_a_writer_is_folded_into_another_however_often_the_batch_is_sent(store: Store, hits: Any, url: str) -> None:
    driver, table = connections.resolve(hits)
    put(hits, (url,), "W", 100, views=10)
    put(hits, (url,), "D", 500, views=7)
    batch = exact.fold_row(table, (url,), "W", {"views": 17}, 101, "D", 501)
    for _ in range(3):
        store.do(driver.submit_async(batch)) if store.face.__name__.endswith("aio") else driver.submit(batch)
        assert store.do(hits.get(url=url)).views == 17
    assert own_row(hits, (url,), "W") == {"views": (17, 101)}
    assert own_row(hits, (url,), "D") == {}


def test_what_the_dead_writer_wrote_later_than_was_said_is_not_deleted(store: Store, hits: Any, url: str) -> None:
    driver, table = connections.resolve(hits)
    put(hits, (url,), "D", 500, views=7)
    driver.submit(exact.fold_row(table, (url,), "W", {"views": 17}, 101, "D", 499))
    assert own_row(hits, (url,), "D") == {"views": (7, 500)}


# --- resetting, deleting, emptying ---------------------------------------------------------------------------------


def test_reset_brings_the_sum_to_0_by_the_total_of_this_writer(store: Store) -> None:
    hits = store.table(page_hits(store, more=True))
    put(hits, ("/",), "A", views=5, unique_visitors=-2)
    with installed(WritingSink("B")) as sink:
        store.do(hits(url="/").increment(views=3))
        store.do(hits(url="/").reset())
        store.do(sink.flush(hits))
        assert store.do(hits.get(url="/")) == hits(url="/", views=0, unique_visitors=0)
        assert {name: total for name, (total, _) in own_row(hits, ("/",), "B").items()} == {
            "views": -5, "unique_visitors": 2
        }  # fmt: skip
        store.do(hits(url="/").increment(views=1))
        store.do(sink.flush(hits))
    assert store.do(hits.get(url="/")).views == 1
    assert own_row(hits, ("/",), "A")["views"][0] == 5


def test_reset_of_a_row_that_is_not_there_writes_nothing(store: Store, hits: Any, url: str) -> None:
    with installed(WritingSink("B")) as sink:
        store.do(hits(url=url).reset())
        assert sink.totals == {}


def test_reset_needs_an_exact_table_and_an_aggregator(store: Store, hits: Any, url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"need a started Aggregator"):
        store.do(hits(url=url).reset())
    with pytest.raises(InvalidQueryError, match=r"reset\(\) needs an exact table, and page_hits_\d+ is native"):
        store.do(page_hits(store, kind="native")(url=url).reset())


def test_delete_is_refused_and_reset_named(store: Store, hits: Any, url: str) -> None:
    put(hits, (url,), "A", views=5)
    with pytest.raises(InvalidQueryError, match=r"cannot be deleted.*reset\(\).*nothing was written"):
        store.do(hits(url=url).delete())
    assert store.do(hits.get(url=url)).views == 5


def test_filters_on_counters_and_on_the_writer_are_refused(store: Store, hits: Any) -> None:
    with pytest.raises(InvalidQueryError, match=r"Counter column 'views' cannot be used in a filter"):
        hits.find(views__gt=1)
    with pytest.raises(InvalidQueryError, match=r"Unknown column 'writer'"):
        hits.find(writer="A")


def test_emptying_and_dropping_make_the_sink_forget(store: Store) -> None:
    hits = store.table(page_hits(store))
    put(hits, ("/",), "A", views=5)
    with installed(WritingSink("B")) as sink:
        store.do(hits.truncate())
        assert store.do(hits.find().count()) == 0
        store.do(hits.drop_table())
        assert sink.forgotten == [hits, hits]


# --- the kind of a table -------------------------------------------------------------------------------------------

KINDS = [("exact", "native"), ("native", "exact")]


def made_by_others(store: Store, table: str, kind: str) -> None:
    """Make a table of the other kind as another process would: this driver remembers nothing of it."""
    store.table(page_hits(store, table, kind))
    connections.driver_of()._known_tables.clear()  # type: ignore[attr-defined]  # the memory of our drivers


@pytest.mark.parametrize(("ours", "theirs"), KINDS)
def test_a_table_of_the_other_kind_is_not_synced(store: Store, ours: str, theirs: str) -> None:
    name = fresh("page_hits")
    made_by_others(store, name, theirs)
    model = page_hits(store, name, ours, more=True)
    for options in ({}, {"dry_run": True}):
        with pytest.raises(ConfigurationError, match=rf"is '{ours}', but .* set counters = '{theirs}'"):
            store.do(model.sync_table(**options))
    assert store.do(page_hits(store, name, theirs).sync_table(dry_run=True))


@pytest.mark.parametrize(("ours", "theirs"), KINDS)
@pytest.mark.parametrize(
    "read",
    [
        lambda model: model.get(url="/"),
        lambda model: model.find_one(url="/"),
        lambda model: model.find().all(),
        lambda model: model.find().first(),
        lambda model: model.find().count(),
        lambda model: model.find().paged_all(),
    ],
    ids=["get", "find_one", "all", "first", "count", "paged_all"],
)
def test_a_table_of_the_other_kind_is_not_read(store: Store, ours: str, theirs: str, read: Any) -> None:
    name = f"wrong_{ours}"
    if name not in store.shared:
        store.shared[name] = name
        made_by_others(store, name, theirs)
    with pytest.raises(ConfigurationError, match=rf"is '{ours}', but the table .* set counters = '{theirs}'"):
        store.do(read(page_hits(store, name, ours)))


def test_a_native_increment_of_an_exact_table_is_refused(store: Store) -> None:
    name = fresh("page_hits")
    made_by_others(store, name, "exact")
    for change in ("increment", "decrement"):
        with pytest.raises(ConfigurationError, match=r"is 'native', but the table .* set counters = 'exact'"):
            store.do(getattr(page_hits(store, name, "native")(url="/"), change)(views=1))
    assert store.do(page_hits(store, name).find().count()) == 0


def test_a_kind_is_asked_for_once_and_again_after_a_refusal(store: Store) -> None:
    name = fresh("page_hits")
    made_by_others(store, name, "exact")
    hits = page_hits(store, name)
    put(hits, ("/",), "A", views=5)
    known = connections.driver_of()._known_tables  # type: ignore[attr-defined]  # the memory of our drivers
    assert store.do(hits.get(url="/")).views == 5
    assert [(seen.counters, seen.columns) for seen in known.values()] == [("exact", None)]
    assert store.do(hits.sync_table())[0].startswith("CREATE TABLE IF NOT EXISTS")
    assert store.do(hits.sync_table()) == []


def test_writes_to_a_table_of_the_other_kind_are_refused(store: Store) -> None:
    for ours, theirs in KINDS:
        name = fresh("page_hits")
        made_by_others(store, name, theirs)
        driver, table = connections.resolve(page_hits(store, name, ours))
        told: list[Any] = []
        if ours == "exact":
            work = [(exact.write(table, ("views",)), ("/", "A", 1, 1))]
        else:
            work = [(update(table, ("views",)), (1, "/"))]
        driver.execute_many(work, 1, lambda index, outcome, count=1, told=told: told.append(outcome.error))
        assert isinstance(told[0], TableRejected)
        assert store.do(page_hits(store, name, theirs).find().count()) == 0


def test_an_exact_table_lives_without_ttl_and_keeps_what_its_operator_set(store: Store) -> None:
    if not store.is_cassandra:
        return  # the embedded store has no options
    hits = store.table(page_hits(store))
    driver, table = connections.resolve(hits)
    (options,) = driver.submit(Statement(ReadOptions(table), render=render)).items
    assert options["compaction"]["class"].endswith("LeveledCompactionStrategy")
    assert (options["gc_grace_seconds"], options["default_time_to_live"]) == (864_000, 0)
    driver.execute(  # type: ignore[attr-defined]  # the test itself is of cassandra-driver's
        f"ALTER TABLE {table.full_name} WITH gc_grace_seconds = 60 AND default_time_to_live = 5"
    )
    expected = f"ALTER TABLE {table.full_name} WITH default_time_to_live = 0"
    assert store.do(hits.sync_table(dry_run=True))[1:] == [expected]
