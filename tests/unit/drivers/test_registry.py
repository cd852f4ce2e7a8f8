"""The registry of drivers, as users and their fixtures handle it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from coodie import drivers
from coodie.drivers import get_driver, register_driver, registry
from coodie.exceptions import ConfigurationError


@pytest.fixture(autouse=True)
def _empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drivers, "_registry", registry.Registry())
    monkeypatch.setattr(drivers, "_default_driver_name", None)


@pytest.fixture
def changes() -> Iterator[list[str]]:
    heard: list[str] = []

    def listener() -> None:
        heard.append("changed")

    registry.on_change.append(listener)
    yield heard
    registry.on_change.remove(listener)


def test_the_first_driver_is_the_default_until_another_is_registered_as_such() -> None:
    first, second, third = object(), object(), object()
    register_driver("first", first)
    register_driver("second", second)
    assert get_driver() is first
    register_driver("third", third, default=True)
    assert get_driver() is third
    assert get_driver("second") is second
    assert drivers._default_driver_name == "third"


def test_with_none_registered_the_error_says_what_to_call() -> None:
    with pytest.raises(ConfigurationError, match=r"^No coodie driver registered. Call init_coodie\(\) first.$"):
        get_driver()
    register_driver("one", object())
    with pytest.raises(
        ConfigurationError, match=r"Call init_coodie\(\) first. There is none named 'two'; registered: one"
    ):
        get_driver("two")


def test_after_a_fixture_cleared_the_registry_the_next_driver_is_the_default() -> None:
    register_driver("old", object())
    drivers._registry.clear()
    with pytest.raises(ConfigurationError):
        get_driver()
    new = object()
    register_driver("new", new)
    assert get_driver() is new


def test_a_fixture_may_set_both_globals() -> None:
    mine = object()
    drivers._registry = {"mine": mine}
    drivers._default_driver_name = "mine"
    assert get_driver() is mine
    assert registry._registry == {"mine": mine}


@pytest.mark.parametrize(
    "change",
    [
        lambda: drivers._registry.clear() or None,
        lambda: drivers._registry.pop("one"),
        lambda: drivers._registry.update(two=object()),
        lambda: drivers._registry.__setitem__("two", object()),
        lambda: drivers._registry.__delitem__("one"),
        lambda: register_driver("one", object()),
        lambda: setattr(drivers, "_registry", {}),
        lambda: setattr(drivers, "_default_driver_name", None),
    ],
    ids=["clear", "pop", "update", "set", "delete", "register", "replace", "default"],
)
def test_every_change_is_heard(changes: list[str], change: object) -> None:
    register_driver("one", object())
    changes.clear()
    assert callable(change)
    change()
    assert changes


def test_the_package_has_the_names_users_import() -> None:
    for name in drivers.__all__:
        assert getattr(drivers, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        drivers.no_such_name  # noqa: B018 - the look-up is the test
