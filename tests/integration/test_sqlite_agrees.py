"""The embedded store against a real Cassandra: the same random writes must leave the same rows and answers on both."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from coodie.cql import render
from coodie.drivers.cassandra import CassandraDriver
from coodie.drivers.sqlite import SQLiteDriver
from coodie.exceptions import InvalidQueryError, Rejected
from coodie.schema import Column, Table
from coodie.statement import (
    Batch,
    Change,
    CreateTable,
    Delete,
    Insert,
    InsertJson,
    Select,
    Selected,
    Shape,
    Statement,
    Term,
    Update,
)
from tests.support.cassandra import Server

WRITES = 250
TABLE = Table(
    "agreed",
    (
        Column("site", "text", partition_index=0),
        Column("day", "int", int, clustering_index=0, descending=True),
        Column("hour", "int", int, clustering_index=1),
        Column("note", "text", optional=True),
        Column("score", "int", int, optional=True),
        Column("tags", "set<text>", set[str]),
        Column("steps", "list<int>", list[int]),
        Column("prices", "map<text, int>", dict[str, int]),
    ),
)
KEY = tuple(Term(column.name) for column in TABLE.primary_key)
OTHERS = [column.name for column in TABLE.columns if not column.is_key]
OPERATIONS = {
    "note": ["set"],
    "score": ["set"],
    "tags": ["set", "append", "remove"],
    "steps": ["set", "append", "prepend", "remove", "put"],
    "prices": ["set", "append", "remove", "put"],
}


@pytest.fixture
def stores(cassandra: Server, keyspace: str) -> Iterator[tuple[CassandraDriver, SQLiteDriver]]:
    server = CassandraDriver.connect(cassandra.hosts, keyspace, port=cassandra.port)
    embedded = SQLiteDriver(":memory:")
    yield server, embedded
    server.close()
    embedded.close()


class Writing:
    """Random writes to few rows, so that they meet."""

    def __init__(self, seed: int, table: Table) -> None:
        self.chance = random.Random(seed)
        self.table = table

    def write(self) -> tuple[Shape, tuple[Any, ...]]:
        """Return one write and its values."""
        kinds = [self.insert] * 3 + [self.update] * 8 + [self.delete] * 2 + [self.delete_columns] * 3
        return self.chance.choice([*kinds, self.json, self.batch, self.conditional_batch])()

    def insert(self) -> tuple[Shape, tuple[Any, ...]]:
        ttl = self.chance.random() < 0.3
        named = OTHERS[:2] if ttl else OTHERS  # elements of a collection have no TTL in the embedded store
        some = sorted(self.chance.sample(named, self.chance.randint(0, len(named))))
        condition = self.chance.random() < 0.3
        names = tuple(term.column for term in KEY)
        values = (*self.key(), *(self.value(name) for name in some))
        return Insert(self.table, (*names, *some), condition, ttl), (*values, *([1000] if ttl else []))

    def update(self) -> tuple[Shape, tuple[Any, ...]]:
        names = self.chance.sample(OTHERS, self.chance.randint(1, 3))
        changes = tuple(Change(name, self.chance.choice(OPERATIONS[name])) for name in names)
        ttl = self.chance.random() < 0.3 and set(names) <= {"note", "score"}
        values = [value for change in changes for value in self.operands(change)]
        terms, compared = self.conditions()
        exists = not terms and self.chance.random() < 0.2
        shape = Update(self.table, changes, KEY, terms, exists, ttl)
        return shape, (*([1000] if ttl else []), *values, *self.key(), *compared)

    def delete(self) -> tuple[Shape, tuple[Any, ...]]:
        site, day, hour = self.key()
        kinds = [((Term("site"), Term("day", ">")), (site, day)), ((Term("site"), Term("day")), (site, day))]
        kinds += [(KEY, (site, day, hour))] * 3
        where, values = self.chance.choice(kinds)
        if where == KEY and self.chance.random() < 0.5:
            terms, compared = self.conditions()
            return Delete(self.table, where, conditions=terms, if_exists=not terms), (*values, *compared)
        return Delete(self.table, where), values

    def delete_columns(self) -> tuple[Shape, tuple[Any, ...]]:
        elements = {"tags": self.word(), "steps": self.chance.randint(0, 2), "prices": self.word()}
        if self.chance.random() < 0.5:
            columns = tuple(self.chance.sample(OTHERS, 2))
            return Delete(self.table, KEY, columns), self.key()
        name = self.chance.choice(list(elements))
        return Delete(self.table, KEY, elements=(name,)), (elements[name], *self.key())

    def json(self) -> tuple[Shape, tuple[Any, ...]]:
        site, day, hour = self.key()
        return InsertJson(self.table), (f'{{"site": "{site}", "day": {day}, "hour": {hour}, "tags": ["j"]}}',)

    def batch(self) -> tuple[Shape, tuple[Any, ...]]:
        return self.joined([self.plain() for _ in range(3)])

    def conditional_batch(self) -> tuple[Shape, tuple[Any, ...]]:
        site, day, hour = self.key()
        some = [Insert(self.table, ("site", "day", "hour", "note"), if_not_exists=self.chance.random() < 0.5)]
        pieces: list[tuple[Any, tuple[Any, ...]]] = [(some[0], (site, day, hour, self.word()))]
        condition = Update(self.table, (Change("score"),), KEY, (Term("score"),))
        pieces.append((condition, (7, site, day + 1, hour, self.chance.choice([None, 0, 7]))))
        return self.joined(pieces)

    def plain(self) -> tuple[Any, tuple[Any, ...]]:
        names = self.chance.sample(["note", "score"], 1)
        update = Update(self.table, (Change(names[0]),), KEY), (self.value(names[0]), *self.key())
        return self.chance.choice([update, (Delete(self.table, KEY), self.key())])

    def joined(self, pieces: list[tuple[Any, tuple[Any, ...]]]) -> tuple[Shape, tuple[Any, ...]]:
        """Return a batch; of two writes of one column of a row in one batch the greater value stays: not meant here."""
        unique = {(values[-3:], shape.changes if isinstance(shape, Update) else None): (shape, values)
                  for shape, values in pieces}  # fmt: skip
        shapes, values = zip(*unique.values(), strict=True)
        return Batch(shapes), sum(values, ())

    def conditions(self) -> tuple[tuple[Term, ...], tuple[Any, ...]]:
        if self.chance.random() < 0.7:
            return (), ()
        name = self.chance.choice(["note", "score", "tags"])
        operator = "=" if name == "tags" else self.chance.choice(["=", "!=", "<", ">=", "IN"])
        value = (self.some(name), self.some(name)) if operator == "IN" else self.value(name)
        return (Term(name, operator),), (value,)

    def operands(self, change: Change) -> list[Any]:
        if change.operation == "put":
            return [self.chance.randint(0, 2) if change.column == "steps" else self.word(), self.chance.randint(0, 3)]
        if (change.column, change.operation) == ("prices", "remove"):
            return [{self.word()}]
        value = self.value(change.column)
        return [value if value is not None or change.operation == "set" else type(self.some(change.column))()]

    def value(self, name: str) -> Any:
        return None if self.chance.random() < 0.3 else self.some(name)

    def some(self, name: str) -> Any:
        some = [self.word() for _ in range(self.chance.randint(0, 3))]
        numbers = [self.chance.randint(0, 3) for _ in some]
        made = {"tags": set(some), "steps": numbers, "prices": dict(zip(some, numbers, strict=True))}
        return made.get(name, self.word() if name == "note" else self.chance.randint(0, 9))

    def key(self) -> tuple[Any, ...]:
        return self.chance.choice("ab"), self.chance.randint(1, 2), self.chance.randint(1, 2)

    def word(self) -> str:
        return self.chance.choice("pqrs")


@pytest.mark.cassandra
@pytest.mark.parametrize("seed", range(2))
def test_random_writes_leave_the_same_rows(stores: tuple[Any, Any], keyspace: str, seed: int) -> None:
    table = Table(f"agreed_{seed}", TABLE.columns, keyspace)
    writing, history = Writing(seed, table), []
    for store in stores:
        store.submit(Statement(CreateTable(table), render=render))
    for _ in range(WRITES):
        shape, values = writing.write()
        history.append((shape, values))
        answers = [answered(store, shape, values) for store in stores]
        assert answers[0] == answers[1], told(history)
        assert rows(stores[0], table) == rows(stores[1], table), told(history)


def told(history: list[tuple[Any, tuple[Any, ...]]]) -> str:
    """Return the latest writes for the message of a failure."""
    return "\n".join(f"{shape!r}: {values}".replace(repr(shape.table), "t") for shape, values in history[-6:])


def answered(store: Any, shape: Shape, values: tuple[Any, ...]) -> Any:
    try:
        return plain(store.submit(Statement(shape, values, render)).items)
    except (Rejected, InvalidQueryError):
        return "refused"


def rows(store: Any, table: Table) -> Any:
    """Return every row of a table, in the order of the partitions' names, and which of its columns will end."""
    ends = tuple(Selected(name, "ttl") for name in ("note", "score"))
    whole = Select(table, (*(Selected(name) for name in table.by_name), *ends))
    found = plain(store.submit(Statement(whole, (), render)).items)
    for row in found:
        row |= {name: value is not None for name, value in row.items() if name.startswith("ttl")}
    return sorted(found, key=lambda row: row["site"])


def plain(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows without the difference between an empty collection and none, which is none on both."""
    return [{name: value or None if name in OTHERS[2:] else value for name, value in row.items()} for row in items]
