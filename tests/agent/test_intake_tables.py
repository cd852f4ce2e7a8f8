"""The tables file and the keys of its tables."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from aggregator.agent.intake.tables import read_tables
from aggregator.exceptions import ConfigurationError
from coodie.exceptions import InvalidQueryError
from tests.agent.intake_rig import TABLES

GOOD = 'table = "t"\nkey = { a = "text" }\ncounters = ["n"]\n'
VISITOR = "6f0d1c3a-1111-4222-8333-abcdefabcdef"


def tables(tmp_path: Path, text: str):
    (tmp_path / "tables.toml").write_text(text)
    return read_tables(tmp_path / "tables.toml")


def test_a_file_says_tables_with_their_keys_and_kinds(tmp_path):
    found = tables(tmp_path, TABLES)
    hits, visits = found["hits"].target.table, found["visits"].target.table
    assert (hits.name, hits.keyspace, hits.counters) == ("page_hits", None, "native")
    assert [column.name for column in hits.counter_columns] == ["views", "unique_visitors"]
    assert [column.name for column in visits.partition_key] == ["site", "day"]
    assert [column.name for column in visits.clustering] == ["visitor"]
    assert visits.counters == "exact"


def test_spellings_of_one_key_are_one_key(tmp_path):
    visits = tables(tmp_path, TABLES)["visits"]
    lower = visits.key({"site": 7, "day": "2026-01-02", "visitor": VISITOR})
    upper = visits.key({"visitor": VISITOR.upper(), "site": "7", "day": "2026-01-02"})
    assert lower == upper
    assert lower[2] == UUID(VISITOR)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ({}, "the key is"),
        ({"link": "/"}, "the key is"),
        ({"url": "/", "more": 1}, "the key is"),
        ({"url": ""}, "cannot be empty"),
        ({"url": 7}, "cannot hold this JSON int"),
        ({"url": True}, "cannot hold this JSON bool"),
        ({"url": "x" * 1025}, "1,024 bytes"),
        ({"url": "\u00e9" * 513}, "1,024 bytes"),
        ({"url": "x" * 100_000}, "1,024 bytes"),
    ],
)
def test_a_key_that_increment_would_refuse_is_refused(tmp_path, key, said):
    with pytest.raises(InvalidQueryError, match=said):
        tables(tmp_path, TABLES)["hits"].key(key)


@pytest.mark.parametrize("part", [{"site": True}, {"site": 2**31}, {"day": "tomorrow"}, {"visitor": "x"}])
def test_a_part_of_another_type_is_refused(tmp_path, part):
    key = {"site": 7, "day": "2026-01-02", "visitor": VISITOR} | part
    with pytest.raises(InvalidQueryError, match=next(iter(part))):
        tables(tmp_path, TABLES)["visits"].key(key)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "0 tables"),
        ("[Hits]\n" + GOOD, "the alias 'Hits'"),
        ('["hits; DROP TABLE x"]\n' + GOOD, "the alias"),
        ("[" + "h" * 49 + "]\n" + GOOD, "the alias"),
        ("[h]\n" + GOOD + "colour = 1", "colour"),
        ("[h]\n" + GOOD.replace('"t"', '"t; --"'), "table"),
        ("[h]\n" + GOOD.replace('"t"', '"t\\n"'), "table"),
        ("[h]\n" + GOOD.replace('"text"', '"double"'), "double"),
        ("[h]\n" + GOOD.replace('["n"]', '["a"]'), "twice"),
        ("[h]\n" + GOOD.replace('["n"]', "[]"), "counters"),
        ("[h]\n" + GOOD + "partition = 2", "partition = 2"),
        ("[h]\n" + GOOD + 'kind = "fast"', "kind"),
        ("[h", "cannot be read"),
    ],
)
def test_a_file_that_says_what_is_not_allowed_is_refused_by_its_place(tmp_path, text, said):
    with pytest.raises(ConfigurationError, match=said):
        tables(tmp_path, text)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_tables(tmp_path / "none.toml")
