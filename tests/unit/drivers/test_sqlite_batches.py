"""Batches of any writes on the embedded store: one transaction, one answer."""

from __future__ import annotations

import pytest

from coodie.drivers.sqlite import SQLiteDriver
from coodie.exceptions import InvalidQueryError, RowRejected
from coodie.statement import Batch, Change, Delete, Insert, InsertJson, Raw, Select, Statement, Term, Update
from tests.support.sqlite import ADD, EVENTS, HITS, insert, make, select, totals

KEY = (Term("site"), Term("day"), Term("hour"))
HERE, THERE, ELSEWHERE = ("a", 1, 2), ("a", 1, 3), ("b", 1, 2)
PUT = Insert(EVENTS, ("site", "day", "hour", "note"))
NEW = Insert(EVENTS, ("site", "day", "hour", "note"), if_not_exists=True)
SET = Update(EVENTS, (Change("note"),), KEY)
SET_IF = Update(EVENTS, (Change("note"),), KEY, conditions=(Term("note"),))
DROP = Delete(EVENTS, KEY)
DROP_IF = Delete(EVENTS, KEY, if_exists=True)


@pytest.fixture
def driver():
    opened = SQLiteDriver(":memory:")
    make(opened, EVENTS, HITS)
    yield opened
    opened.close()


def run(driver, *writes, **options):
    shapes, values = zip(*writes, strict=True)
    return driver.submit(Statement(Batch(shapes, **options), sum(values, ()))).items


def notes(driver):
    return {(row["site"], row["day"], row["hour"]): row["note"] for row in select(driver, EVENTS).items}


def test_writes_of_every_kind_go_together(driver):
    insert(driver, EVENTS, site="b", day=1, hour=2)
    answer = run(
        driver,
        (PUT, (*HERE, "put")),
        (InsertJson(EVENTS), ('{"site": "a", "day": 1, "hour": 3, "note": "json", "steps": [1]}',)),
        (Update(EVENTS, (Change("note"), Change("steps", "append")), KEY), ("set", [2], *THERE)),
        (Raw("INSERT INTO events (site, day, hour, note) VALUES (?, 1, 4, ?)"), ("a", "raw?")),
        (DROP, ELSEWHERE),
    )
    assert answer == []
    assert notes(driver) == {HERE: "put", THERE: "set", ("a", 1, 4): "raw?"}
    assert select(driver, EVENTS, "steps", where=[("hour", "=", 3)]).items == [{"steps": [1, 2]}]


def test_one_bad_write_undoes_all(driver):
    for bad, error in [
        ((Update(EVENTS, (Change("steps", "put"),), KEY), (5, 1, *HERE)), RowRejected),
        ((PUT, ("a", 1, None, "x")), InvalidQueryError),
        ((Raw("INSERT INTO events (site, day, hour) VALUES ('a', 1, 2)"), ()), RowRejected),
    ]:
        with pytest.raises(error):
            run(driver, (PUT, (*HERE, "x")), bad)
        assert notes(driver) == {}


def test_a_deletion_wins_over_what_it_meets_as_on_cassandra(driver):
    run(driver, (DROP, HERE), (PUT, (*HERE, "x")), (PUT, (*THERE, "y")))
    assert notes(driver) == {THERE: "y"}


def test_counter_updates_are_batched_among_themselves(driver):
    run(driver, (ADD.shape, (1, 2, "/a")), (ADD.shape, (3, 4, "/a")), (ADD.shape, (5, 6, "/b")), kind="COUNTER")
    assert totals(driver) == {"/a": (4, 6), "/b": (5, 6)}
    for kind, writes in [("UNLOGGED", [(ADD.shape, (1, 1, "/a"))]), ("COUNTER", [(PUT, (*HERE, "x"))])]:
        with pytest.raises(InvalidQueryError, match="COUNTER"):
            run(driver, *writes, kind=kind)
    with pytest.raises(InvalidQueryError, match="COUNTER"):
        run(driver, (ADD.shape, (1, 1, "/a")), (PUT, (*HERE, "x")), kind="COUNTER")
    assert totals(driver)["/a"] == (4, 6)


def test_conditions_are_all_asked_before_anything_is_written(driver):
    insert(driver, EVENTS, site="a", day=1, hour=2, note="x")
    writes = [(SET_IF, ("y", *HERE, "x")), (NEW, (*THERE, "new")), (PUT, ("a", 1, 4, "plain"))]
    assert run(driver, *writes) == [{"[applied]": True}]
    assert notes(driver) == {HERE: "y", THERE: "new", ("a", 1, 4): "plain"}
    # the first write would make the second one's condition hold
    assert run(driver, (SET, ("z", *HERE)), (SET_IF, ("w", *HERE, "z"))) == [
        {"[applied]": False, "site": "a", "day": 1, "hour": 2, "note": "y"}
    ]  # fmt: skip
    assert notes(driver)[HERE] == "y"


def test_what_a_batch_was_not_applied_for(driver):
    insert(driver, EVENTS, site="a", day=1, hour=2, note="x")
    (answer,) = run(driver, (PUT, (*THERE, "y")), (NEW, (*HERE, "y")))
    assert (answer["[applied]"], answer["note"], answer["tags"]) == (False, "x", None)
    assert run(driver, (DROP_IF, THERE), (PUT, (*THERE, "y"))) == [{"[applied]": False}]
    assert notes(driver) == {HERE: "x"}


@pytest.mark.parametrize(
    "writes",
    [
        [(NEW, (*HERE, "x")), (PUT, (*ELSEWHERE, "y"))],
        [(NEW, (*HERE, "x")), (Raw("DELETE FROM events"), ())],
        [(NEW, (*HERE, "x")), (InsertJson(EVENTS), ("{}",))],
    ],
)
def test_a_batch_with_conditions_touches_one_partition(driver, writes):
    with pytest.raises(InvalidQueryError, match="with conditions"):
        run(driver, *writes)
    assert notes(driver) == {}


def test_texts_that_read_and_wrong_numbers_of_values_are_refused(driver):
    with pytest.raises(InvalidQueryError, match="reads"):
        run(driver, (Raw("SELECT 1"), ()))
    with pytest.raises(InvalidQueryError, match="takes 4 values, not 3"):
        run(driver, (PUT, HERE))


def test_json_names_what_it_writes_and_the_rest_becomes_null(driver):
    insert(driver, EVENTS, site="a", day=1, hour=2, note="x", tags={"t"})
    driver.submit(Statement(InsertJson(EVENTS), ('{"site": "a", "day": 1, "hour": 2, "steps": [3]}',)))
    row = {"site": "a", "day": 1, "hour": 2, "note": None, "tags": None, "steps": [3], "prices": None}
    assert driver.submit(Statement(Select(EVENTS))).items == [row]
    for wrong in ("{", "[]", '{"site": "a", "day": 1}', '{"site": "a", "day": 1, "hour": 2, "other": 1}'):
        with pytest.raises(InvalidQueryError):
            driver.submit(Statement(InsertJson(EVENTS), (wrong,)))
    assert driver.submit(Statement(Select(EVENTS))).items == [row]
