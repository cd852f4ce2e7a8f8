"""Plans of batches: one statement of several, and what it answers."""

from __future__ import annotations

from typing import Any

import pytest

from coodie import batch, drivers
from coodie.exceptions import MaybeApplied
from coodie.plans import batches, documents
from coodie.plans.writing import WriteOptions
from coodie.results import LWTResult
from coodie.schema import table_of
from coodie.statement import Rows, Statement
from coodie.testing import ScriptedDriver
from tests.unit.coodie.driving import drive
from tests.unit.coodie.models import Post

POSTS = table_of(Post)


def writes(*options: WriteOptions) -> list[Statement]:
    return [
        next(documents.delete(Post(author="ann", number=number), POSTS, each)) for number, each in enumerate(options)
    ]


@pytest.mark.parametrize(("kind", "begun"), [("LOGGED", "BEGIN BATCH"), ("UNLOGGED", "BEGIN UNLOGGED BATCH")])
def test_a_batch_is_one_statement(kind: str, begun: str) -> None:
    (statement,), answer = drive(batches.send(writes(WriteOptions(), WriteOptions(timeout=3.0)), kind, 9))
    one = 'DELETE FROM posts WHERE "author" = ? AND "number" = ?'
    assert statement.cql == f"{begun} USING TIMESTAMP ? {one}; {one}; APPLY BATCH"
    assert statement.values == (9, "ann", 0, "ann", 1)
    assert (statement.timeout, statement.consistency, statement.idempotent, answer) == (3.0, None, True, None)


def test_a_text_makes_a_batch_one_that_is_never_sent_twice() -> None:
    text = batches.text(" UPDATE c SET n = n + ? WHERE k = ? ;\n", [1, "k"])
    (statement,), answer = drive(batches.send([text, text], "COUNTER", None))
    assert statement.cql == (
        "BEGIN COUNTER BATCH UPDATE c SET n = n + ? WHERE k = ?; UPDATE c SET n = n + ? WHERE k = ?; APPLY BATCH"
    )
    assert (statement.values, statement.idempotent, answer) == ((1, "k", 1, "k"), False, None)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], LWTResult(True, None)),
        ([{"[applied]": True}], LWTResult(True, None)),
        ([{"[applied]": False, "author": "ann"}, {"[applied]": False}], LWTResult(False, {"author": "ann"})),
    ],
)
def test_a_condition_in_it_is_answered(rows: list[dict[str, Any]], expected: LWTResult) -> None:
    write = next(documents.insert(Post(author="ann", number=1), POSTS))
    (statement,), answer = drive(batches.send([*writes(WriteOptions()), write], "LOGGED", None), rows)
    assert (answer, statement.idempotent) == (expected, False)


def test_a_condition_in_a_text_is_answered_too() -> None:
    text = batches.text("INSERT INTO t (k) VALUES (1) IF NOT EXISTS", None)
    assert drive(batches.send([text], "LOGGED", None), [{"[applied]": True}])[1] == LWTResult(True, None)


class Refusing(ScriptedDriver):
    """Tells nothing of the first write."""

    def submit(self, statement: Statement) -> Rows:
        super().submit(statement)
        raise MaybeApplied("no answer")


def test_a_batch_of_unknown_fate_is_not_sent_again_on_leaving() -> None:
    driver = Refusing()
    drivers.register_driver("default", driver, default=True)
    try:
        with batch.BatchQuery() as entered:
            Post(author="ann", number=1).save(batch=entered)
            with pytest.raises(MaybeApplied):
                entered.execute()
    finally:
        drivers._registry.clear()
    assert len(driver.sent) == 1
    assert entered.result is None
