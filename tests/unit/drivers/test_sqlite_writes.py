"""INSERT, UPDATE and DELETE on the embedded store, with and without conditions."""

from __future__ import annotations

import pytest

from coodie.drivers.sqlite import SQLiteDriver
from coodie.exceptions import InvalidQueryError, RowRejected
from coodie.statement import Batch, Change, Delete, Insert, Statement, Term, Update
from tests.support.sqlite import EVENTS, HITS, insert, make, select

KEY = (Term("site"), Term("day"), Term("hour"))
HERE = ("a", 1, 2)


@pytest.fixture
def driver():
    opened = SQLiteDriver(":memory:")
    make(opened, EVENTS, HITS)
    yield opened
    opened.close()


def update(driver, changes, values, **options):
    compared = options.pop("compared", ())
    return driver.submit(Statement(Update(EVENTS, changes, KEY, **options), (*values, *HERE, *compared))).items


def delete(driver, values=HERE, where=KEY, **options):
    return driver.submit(Statement(Delete(EVENTS, where, **options), values)).items


def row(driver):
    found = select(driver, EVENTS, "note", "tags", "steps").items
    assert len(found) <= 1
    return found[0] if found else None


def test_an_insert_replaces_the_columns_it_names(driver):
    insert(driver, EVENTS, site="a", day=1, hour=2, note="x", tags={"t"})
    insert(driver, EVENTS, site="a", day=1, hour=2, note=None, steps=[1])
    insert(driver, EVENTS, site="a", day=1, hour=2)
    assert row(driver) == {"note": None, "tags": {"t"}, "steps": [1]}


def test_insert_if_not_exists_answers_with_the_row_that_was_there(driver):
    shape = Insert(EVENTS, ("site", "day", "hour", "note"), if_not_exists=True)
    assert driver.submit(Statement(shape, (*HERE, "x"))).items == [{"[applied]": True}]
    (answer,) = driver.submit(Statement(shape, (*HERE, "y"))).items
    assert answer.pop("[applied]") is False
    assert answer == {"site": "a", "day": 1, "hour": 2, "note": "x", "tags": None, "steps": None, "prices": None}
    assert row(driver)["note"] == "x"


@pytest.mark.parametrize("values", [{"site": "a", "day": 1}, {"site": "a", "day": 1, "hour": None}])
def test_an_insert_needs_the_whole_key(driver, values):
    with pytest.raises(InvalidQueryError):
        insert(driver, EVENTS, **values)
    assert row(driver) is None


def test_an_update_makes_the_row_and_keeps_other_columns(driver):
    update(driver, (Change("note"),), ("x",))
    update(driver, (Change("tags"), Change("note")), ({"t"}, None))
    assert row(driver) == {"note": None, "tags": {"t"}, "steps": None}


def test_an_update_changes_collections_from_within(driver):
    changes = (Change("tags", "append"), Change("steps", "append"))
    update(driver, changes, ({"b", "a"}, [2, 3]))
    update(driver, (Change("steps", "prepend"), Change("tags", "remove")), ([1], {"a"}))
    update(driver, (Change("steps", "put"),), (2, 9))
    assert row(driver) == {"note": None, "tags": {"b"}, "steps": [1, 2, 9]}
    delete(driver, (0, *HERE), elements=("steps",))
    delete(driver, columns=("tags",))
    assert row(driver) == {"note": None, "tags": None, "steps": [2, 9]}


def test_maps_are_put_merged_and_cut(driver):
    from decimal import Decimal

    one, two = Decimal(1), Decimal("2.50")
    update(driver, (Change("prices", "put"),), ("tea", one))
    update(driver, (Change("prices", "append"),), ({"cake": two, "pie": one},))
    update(driver, (Change("prices", "remove"),), ({"tea"},))
    delete(driver, ("pie", *HERE), elements=("prices",))
    assert select(driver, EVENTS, "prices").items == [{"prices": {"cake": two}}]


def test_several_elements_are_taken_in_one_write(driver):
    insert(driver, EVENTS, site="a", day=1, hour=2, note="x", tags={"a", "b", "c"}, steps=[1, 2])
    delete(driver, ("a", 0, "b", *HERE), columns=("note",), elements=("tags", "steps", "tags"))
    assert row(driver) == {"note": None, "tags": {"c"}, "steps": [2]}
    for shape, values in [
        (Delete(EVENTS, KEY, elements=("steps", "steps")), (0, 1, *HERE)),
        (Update(EVENTS, (Change("note"), Change("note")), KEY), ("x", "y", *HERE)),
        (Update(EVENTS, (Change("steps", "append"), Change("steps", "put")), KEY), ([1], 0, 1, *HERE)),
    ]:
        with pytest.raises(InvalidQueryError, match="several changes"):
            driver.submit(Statement(shape, values))


def test_a_position_a_list_does_not_have_refuses_the_row(driver):
    insert(driver, EVENTS, site="a", day=1, hour=2, steps=[1])
    for position in (1, -1):
        with pytest.raises((RowRejected, InvalidQueryError)):
            update(driver, (Change("steps", "put"),), (position, 9))
    assert row(driver)["steps"] == [1]


def test_a_change_that_does_not_fit_is_refused(driver):
    for change in (Change("note", "append"), Change("tags", "prepend"), Change("tags", "put"), Change("day")):
        with pytest.raises(InvalidQueryError):
            update(driver, (change,), (1, 1) if change.operation == "put" else (1,))


def test_a_counter_is_changed_by_an_update_too(driver):
    add = Update(HITS, (Change("views", "append"), Change("visitors", "remove")), (Term("url"),))
    driver.submit(Statement(add, (5, 2, "/a")))
    assert select(driver, HITS).items == [{"url": "/a", "views": 5, "visitors": -2}]


def test_an_update_needs_the_full_key_by_equality(driver):
    for where, values in [((Term("site"),), ("a",)), ((Term("site"), Term("day", ">"), Term("hour")), HERE)]:
        with pytest.raises(InvalidQueryError, match="full primary key"):
            driver.submit(Statement(Update(EVENTS, (Change("note"),), where), ("x", *values)))


@pytest.mark.parametrize(
    ("conditions", "values", "applied"),
    [
        ((Term("note"),), ("x",), True),
        ((Term("note"),), ("y",), False),
        ((Term("note"), Term("steps")), ("x", None), True),
        ((Term("note", "!="),), (None,), True),
        ((Term("note", "IN"),), (("z", "x"),), True),
        ((Term("note", "<"),), ("x",), False),
    ],
)
def test_a_conditional_update(driver, conditions, values, applied):
    insert(driver, EVENTS, site="a", day=1, hour=2, note="x")
    (answer,) = update(driver, (Change("note"),), ("new",), conditions=conditions, compared=values)
    assert answer["[applied]"] is applied
    assert row(driver)["note"] == ("new" if applied else "x")
    assert applied or answer == {"[applied]": False, "note": "x"}


def test_a_condition_on_a_row_that_is_not_there(driver):
    refused = [{"[applied]": False}]
    assert update(driver, (Change("note"),), ("x",), if_exists=True) == refused
    assert update(driver, (Change("note"),), ("x",), conditions=(Term("note"),), compared=("y",)) == refused
    assert delete(driver, if_exists=True) == refused
    assert row(driver) is None
    assert update(driver, (Change("note"),), ("x",), conditions=(Term("note"),), compared=(None,)) == [
        {"[applied]": True}
    ]
    assert update(driver, (Change("note"),), ("y",), if_exists=True) == [{"[applied]": True}]
    assert row(driver)["note"] == "y"


def test_a_conditional_delete(driver):
    insert(driver, EVENTS, site="a", day=1, hour=2, note="x")
    assert delete(driver, (*HERE, "y"), conditions=(Term("note"),)) == [{"[applied]": False, "note": "x"}]
    assert delete(driver, (*HERE, "x"), conditions=(Term("note"),)) == [{"[applied]": True}]
    assert row(driver) is None


def test_a_delete_may_name_a_partition_or_a_range(driver):
    for site in ("a", "b"):
        for day in (1, 2, 3):
            insert(driver, EVENTS, site=site, day=day, hour=0)
    delete(driver, ("a", 2), where=(Term("site"), Term("day", ">=")))
    delete(driver, (("b",),), where=(Term("site", "IN"),))
    assert [(found["site"], found["day"]) for found in select(driver, EVENTS).items] == [("a", 1)]


def test_timestamps_are_refused_by_name(driver):
    for shape, values in [
        (Insert(EVENTS, ("site", "day", "hour"), timestamp=True), (*HERE, 60)),
        (Update(EVENTS, (Change("note"),), KEY, timestamp=True), (60, "x", *HERE)),
        (Delete(EVENTS, KEY, timestamp=True), (60, *HERE)),
        (Batch((Delete(EVENTS, KEY),), timestamp=True), (60, *HERE)),
    ]:
        with pytest.raises(InvalidQueryError, match="timestamps"):
            driver.submit(Statement(shape, values))
    assert row(driver) is None


@pytest.mark.parametrize(
    ("where", "values"),
    [
        ((), ()),
        ((Term("day"),), (1,)),
        ((Term("site", ">"),), ("a",)),
        ((Term("site"), Term("hour")), ("a", 2)),
        ((Term("site"), Term("day", ">"), Term("hour")), HERE),
        ((Term("site"), Term("note")), ("a", "x")),
        ((Term("site"), Term("day", "!=")), ("a", 3)),
    ],
)
def test_a_delete_names_what_cassandras_may(driver, where, values):
    insert(driver, EVENTS, site="a", day=1, hour=2, note="x")
    with pytest.raises(InvalidQueryError, match="whole partition key"):
        delete(driver, values, where=where)
    assert row(driver) is not None


def test_columns_are_deleted_of_one_row_alone(driver):
    with pytest.raises(InvalidQueryError, match="full primary key"):
        delete(driver, ("a",), where=(Term("site"),), columns=("note",))


def test_a_row_made_by_an_update_is_gone_with_its_last_column(driver):
    update(driver, (Change("note"), Change("tags", "append")), ("x", {"t"}))
    update(driver, (Change("note"),), (None,))
    assert row(driver) is not None
    update(driver, (Change("tags", "remove"),), ({"t"},))
    assert row(driver) is None
    update(driver, (Change("note"),), ("x",))
    delete(driver, columns=("note",))
    assert row(driver) is None
    update(driver, (Change("note"),), (None,))
    assert row(driver) is None


def test_an_inserted_row_stays_without_columns(driver):
    update(driver, (Change("note"),), ("x",))
    insert(driver, EVENTS, site="a", day=1, hour=2)
    update(driver, (Change("note"),), (None,))
    assert row(driver) == {"note": None, "tags": None, "steps": None}
    delete(driver)
    update(driver, (Change("note"),), ("x",))
    delete(driver, columns=("note",))
    assert row(driver) is None
