"""Conditional writes on every store: the same conditions hold, and the same columns are told where they do not."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import pytest
from pydantic import Field

from coodie.exceptions import InvalidQueryError, RowRejected
from coodie.fields import ClusteringKey, PrimaryKey, VarInt
from coodie.results import LWTResult
from tests.contract.stores import Store, fresh

MOMENT = datetime(2024, 5, 1, 12, tzinfo=UTC)


def accounts_model(store: Store) -> Any:
    """Return a model of accounts."""

    class Account(store.face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        owner: Annotated[str, PrimaryKey()]
        number: Annotated[int, ClusteringKey()]
        balance: int | None = None
        name: str | None = None
        total: Annotated[int | None, VarInt()] = None
        opened: datetime | None = None
        flags: set[str] = Field(default_factory=set)

        class Settings:
            name = fresh("accounts")

    return Account


@pytest.fixture
def accounts(store: Store) -> Any:
    """Give the model on a table that the tests share: each has owners of its own."""
    return store.once("accounts", accounts_model)


@pytest.fixture
def account(store: Store, accounts: Any) -> Any:
    """Give a stored account."""
    values = {"balance": 5, "name": "ann", "total": 10**20, "opened": MOMENT, "flags": {"a"}}
    return store.do(accounts.create(owner=fresh("ann"), number=1, **values))


HOLD: list[dict[str, Any]] = [
    {"balance": 5},
    {"balance__ne": 6},
    {"balance__gt": 4},
    {"balance__gte": 5},
    {"balance__lt": 6},
    {"balance__lte": 5},
    {"balance__in": [1, 5]},
    {"balance__gt": 4, "balance__lt": 6},
    {"balance": 5, "name": "ann"},
    {"name__in": ["bob", "ann"]},
    {"name__gte": "ann"},
    {"total__gt": 10**19},
    {"opened": MOMENT},
    {"opened__lt": MOMENT.replace(month=6, tzinfo=None)},
    {"flags": {"a"}},
    {"flags__ne": {"b"}},
    {"flags__in": [set(), {"a"}]},
    {"total__in": [1, 10**20]},
    {"opened__in": [MOMENT]},
]
FAIL: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"balance": 6}, {"balance": 5}),
    ({"balance__ne": 5}, {"balance": 5}),
    ({"balance__gt": 5}, {"balance": 5}),
    ({"balance__gte": 6}, {"balance": 5}),
    ({"balance__lt": 5}, {"balance": 5}),
    ({"balance__lte": 4}, {"balance": 5}),
    ({"balance__in": [1, 2]}, {"balance": 5}),
    ({"balance__in": []}, {"balance": 5}),
    ({"balance": None}, {"balance": 5}),
    ({"balance": 5, "name": "bob"}, {"balance": 5, "name": "ann"}),
    ({"total__lt": 10**19}, {"total": 10**20}),
    ({"opened__gt": MOMENT}, {"opened": MOMENT}),
    ({"flags": set()}, {"flags": {"a"}}),
    ({"flags__in": [set(), {"b"}]}, {"flags": {"a"}}),
]


@pytest.mark.parametrize("conditions", HOLD, ids=str)
def test_a_condition_that_holds_lets_the_write_through(store: Store, account: Any, conditions: dict[str, Any]) -> None:
    assert store.do(account.update(name="new", if_conditions=conditions)) == LWTResult(True, None)
    assert store.do(type(account).get(owner=account.owner)).name == "new"
    assert account.name == "new"


@pytest.mark.parametrize(("conditions", "existing"), FAIL, ids=[str(conditions) for conditions, _ in FAIL])
def test_a_condition_that_does_not_hold_tells_what_is_there(
    store: Store, account: Any, conditions: dict[str, Any], existing: dict[str, Any]
) -> None:
    for write in (
        account.update(name="new", if_conditions=conditions),
        account.delete(if_conditions=conditions),
        type(account).find(owner=account.owner, number=1).update(name="new", if_conditions=conditions),
        type(account).find(owner=account.owner, number=1).delete(if_conditions=conditions),
    ):
        result = store.do(write)
        assert (result.applied, result.existing) == (False, existing)
    assert store.do(type(account).get(owner=account.owner)) == account
    assert account.name == "ann"


@pytest.mark.parametrize(
    ("conditions", "applied"),
    [
        ({"balance": 5}, False),
        ({"balance": None}, True),
        ({"balance__ne": 5}, True),
        ({"balance__ne": None}, False),
        ({"balance__gt": 0}, False),
        ({"balance__in": [5]}, False),
        ({"flags__in": [{"a"}]}, False),
        ({"flags__in": [set(), {"a"}]}, True),
        ({"total__in": [0, 10**20]}, False),
    ],
    ids=str,
)
def test_a_missing_row_is_one_of_nulls(store: Store, accounts: Any, conditions: dict[str, Any], applied: bool) -> None:
    missing = accounts(owner=fresh("none"), number=1)
    result = store.do(missing.update(name="new", if_conditions=conditions))
    assert result == LWTResult(applied, None if applied else {})
    assert store.do(accounts.find(owner=missing.owner).count()) == applied


def test_a_null_meets_no_comparison(store: Store, accounts: Any) -> None:
    bare = store.do(accounts.create(owner=fresh("bare"), number=1))
    for conditions in ({"balance__gt": 0}, {"balance__lt": 9}, {"balance__in": [1]}, {"balance": 1}):
        assert store.do(bare.update(name="x", if_conditions=conditions)) == LWTResult(False, {"balance": None})
    for conditions in ({"balance__ne": 1}, {"balance": None}, {"flags": set()}, {"flags__in": [{"a"}, set()]}):
        assert store.do(bare.update(name="x", if_conditions=conditions)) == LWTResult(True, None)


def test_an_empty_collection_has_no_order(store: Store, account: Any) -> None:
    for operator in ("gt", "gte", "lt", "lte"):
        with pytest.raises(RowRejected, match=r"empty"):
            store.do(account.update(name="new", if_conditions={f"flags__{operator}": set()}))
    assert store.do(type(account).get(owner=account.owner)).name == "ann"


def test_if_exists_beside_conditions_means_both(store: Store, accounts: Any, account: Any) -> None:
    assert store.do(account.update(name="new", if_exists=True, if_conditions={"balance": 5})).applied
    missing = accounts(owner=fresh("none"), number=1)
    assert not store.do(missing.update(name="new", if_exists=True, if_conditions={"balance": 5})).applied
    with pytest.raises(InvalidQueryError, match=r"a missing row meets"):
        store.do(missing.update(name="new", if_exists=True, if_conditions={"balance": None}))
    assert store.do(accounts.find(owner=missing.owner).count()) == 0


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        ({"nothing": 1}, r"Unknown column 'nothing'"),
        ({"balance__like": "x"}, r"Unknown column 'balance__like'"),
        ({"balance__gt": "x"}, r"'balance' \(int\) takes int, not str"),
        ({"balance__in": 5}, r"'balance__in' takes a list"),
        ({"balance__in": [None]}, r"None"),
        ({"balance": 2**31}, r"takes integers from"),
        ({"owner": "x"}, r"'owner' is part of the primary key"),
    ],
)
def test_conditions_are_checked_before_anything_is_sent(
    store: Store, account: Any, conditions: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidQueryError, match=said):
        store.do(account.update(name="new", if_conditions=conditions))
    assert store.do(type(account).get(owner=account.owner)).name == "ann"


def test_inserting_tells_the_whole_row_it_met(store: Store, account: Any) -> None:
    refused = store.do(type(account)(owner=account.owner, number=1, name="other").insert())
    assert not refused.applied
    assert type(account)(**refused.existing) == account
    with pytest.raises(InvalidQueryError, match=r"conditional write takes no timestamp"):
        store.do(account.insert(timestamp=5))


def test_decimals_are_compared_by_their_value(store: Store) -> None:
    class Rate(store.face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        id: Annotated[int, PrimaryKey()]
        rate: Decimal

        class Settings:
            name = fresh("rates")

    saved = store.do(store.table(Rate).create(id=1, rate=Decimal("1.50")))
    if store.kind == "acsylla":
        with pytest.raises(InvalidQueryError, match=r"acsylla cannot read the answer .* 'rate' \(decimal\)"):
            store.do(saved.update(rate=Decimal(2), if_conditions={"rate": Decimal("1.5")}))
        return
    refused = store.do(saved.update(rate=Decimal(3), if_conditions={"rate__gt": Decimal("1.5")}))
    assert refused == LWTResult(False, {"rate": Decimal("1.50")})
    assert store.do(saved.update(rate=Decimal(2), if_conditions={"rate": Decimal("1.5")})).applied
