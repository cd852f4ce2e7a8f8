"""Options: keyword over environment over default, and every refusal by name."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from aggregator import Aggregator, ConfigurationError
from aggregator.config import Options, read_options


def test_an_explicit_keyword_beats_the_environment_which_beats_the_default() -> None:
    environment = {"AGGREGATOR_FLUSH_INTERVAL": "7", "AGGREGATOR_MAX_KEYS": "900"}
    options = read_options({"flush_interval": 2}, environment)
    assert (options.flush_interval, options.max_keys, options.max_batch_size) == (2.0, 900, 500)


@pytest.mark.parametrize(
    ("variable", "text", "option", "value"),
    [
        ("AGGREGATOR_FLUSH_INTERVAL", "none", "flush_interval", None),
        ("AGGREGATOR_FLUSH_INTERVAL", "", "flush_interval", 1.0),
        ("AGGREGATOR_READ_PENDING", "1", "read_pending", True),
        ("AGGREGATOR_READ_PENDING", "False", "read_pending", False),
        ("AGGREGATOR_MODE", "null", "mode", "null"),
        ("AGGREGATOR_ON_UNKNOWN", "drop", "on_unknown", "drop"),
        ("AGGREGATOR_FLUSH_JITTER", "0", "flush_jitter", 0.0),
    ],
)
def test_environment_values_are_parsed(variable: str, text: str, option: str, value: Any) -> None:
    assert getattr(read_options({}, {variable: text}), option) == value


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("flush_interval", 0),
        ("flush_interval", -1),
        ("flush_interval", float("nan")),
        ("flush_interval", "1"),
        ("flush_jitter", 1),
        ("flush_jitter", None),
        ("max_batch_size", 0),
        ("max_batch_size", 1.5),
        ("max_keys", True),
        ("max_keys", 10**12),
        ("when_full", "block"),
        ("consistency", "ANY"),
        ("consistency", "SERIAL"),
        ("flush_concurrency", -3),
        ("flush_timeout", None),
        ("on_unknown", "keep"),
        ("durability", "none"),
        ("mode", "off"),
        ("read_pending", "yes"),
        ("on_flush", "print"),
    ],
)
def test_a_bad_value_names_the_option_the_value_and_what_is_allowed(option: str, value: Any) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        read_options({option: value}, {})
    text = str(refusal.value)
    assert f"{option}={value!r}" in text
    assert "not allowed: " in text


def test_a_bad_environment_value_is_refused_at_construction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGGREGATOR_MAX_KEYS", "many")
    with pytest.raises(ConfigurationError, match="max_keys='many'.*AGGREGATOR_MAX_KEYS"):
        Aggregator()


def test_pairs_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="max_batch_size=20 with max_keys=10"):
        read_options({"max_batch_size": 20, "max_keys": 10}, {})
    with pytest.raises(ConfigurationError, match="need journal"):
        read_options({"mode": "agent"}, {})
    with pytest.raises(ConfigurationError, match="a worker writes nothing itself"):
        read_options({"mode": "agent", "journal": "somewhere", "when_full": "direct"}, {})


def test_a_small_buffer_alone_is_no_impossible_pair() -> None:
    assert read_options({"max_keys": 10}, {}).max_batch_size == 10


def test_callbacks_do_not_come_from_the_environment() -> None:
    assert read_options({}, {"AGGREGATOR_ON_FLUSH": "print"}).on_flush is None


def test_an_unknown_option_is_refused_like_any_unknown_keyword() -> None:
    with pytest.raises(TypeError, match="'flush_intervall'.*flush_interval"):
        Aggregator(flush_intervall=1)


def test_the_contract_names_every_option() -> None:
    assert [option.name for option in fields(Options)] == [
        *("flush_interval", "flush_jitter", "max_batch_size", "max_keys", "when_full", "flush_concurrency"),
        *("consistency", "flush_timeout", "shutdown_timeout", "on_unknown", "journal", "durability"),
        *("journal_sync_interval", "read_pending", "mode", "status", "on_flush", "on_error"),
    ]
