"""Bodies of requests: what is refused, and with which words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aggregator.agent.intake.refusal import Refusal
from aggregator.agent.intake.requests import DELTA, INCREMENTS, decode, rows_of
from aggregator.agent.intake.tables import read_tables
from tests.agent.intake_rig import TABLES, request

GOOD = {"table": "hits", "key": {"url": "/"}, "add": {"views": 1}}


def refused(tmp_path: Path, body: object) -> str:
    (tmp_path / "tables.toml").write_text(TABLES)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(Refusal) as raised:
        rows_of(decode(data).increments, read_tables(tmp_path / "tables.toml"), {})
    assert raised.value.status == 400
    return str(raised.value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00\xff garbage",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"producer":"p","sequence":1,"increments":[{"table":"hits","key":{"url":"\\ud800"},"add":{"views":1}}]}',
        json.dumps(request("p", 1)).encode(),
        request("", 1, ("/", 1)),
        request("p\n", 1, ("/", 1)),
        request("p" * 65, 1, ("/", 1)),
        request("p", 0, ("/", 1)),
        request("p", 2**63, ("/", 1)),
        request("p", 1, *[("/", 1)] * (INCREMENTS + 1)),
        request("p", 1, ("/", 1)) | {"more": 1},
    ],
    ids=range(13),
)
def test_a_body_that_is_not_of_the_form_is_refused(tmp_path, body):
    assert "the body is not a request" in refused(tmp_path, body)


@pytest.mark.parametrize(
    "delta", ["1.0", "1.5", "NaN", "Infinity", "true", "null", '"1"', "[1]", "9" * 5000, DELTA + 1, -DELTA - 1]
)
def test_a_delta_that_is_no_integer_within_the_cap_is_refused(tmp_path, delta):
    body = b'{"producer":"p","sequence":1,"increments":[{"table":"hits","key":{"url":"/"},"add":{"views":%b}}]}'
    assert "the body is not a request" in refused(tmp_path, body % str(delta).encode())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"table": "page_hits"}, "there is no table 'page_hits'; there are hits, visits"),
        ({"table": "HITS"}, "there is no table"),
        ({"key": {"url": ""}}, "cannot be empty"),
        ({"key": {"url": True}}, "JSON bool"),
        ({"add": {"views": 1, "url": 1}}, "hits counts views, unique_visitors and nothing else"),
    ],
)
def test_one_wrong_increment_refuses_all_and_is_named(tmp_path, wrong, said):
    text = refused(tmp_path, {"producer": "p", "sequence": 1, "increments": [GOOD, GOOD | wrong, GOOD]})
    assert text.startswith("increments[1]: ")
    assert said in text
    assert text.endswith("nothing was counted")


@pytest.mark.parametrize("site", [1, True])
def test_a_key_that_is_held_does_not_let_one_of_another_type_through(tmp_path, site):
    (tmp_path / "tables.toml").write_text(TABLES.replace('day = "date", visitor = "uuid"', 'day = "int"'))
    tables = read_tables(tmp_path / "tables.toml")
    body = {"table": "visits", "key": {"site": site, "day": 2}, "add": {"seen": 1}}
    request_ = decode(json.dumps({"producer": "p", "sequence": 1, "increments": [body]}).encode())
    known = {"visits": {(1, 2): {}}}
    if site is True:
        with pytest.raises(Refusal, match="bool"):
            rows_of(request_.increments, tables, known)
    else:
        assert rows_of(request_.increments, tables, known) == [("visits", (1, 2), {"seen": 1})]
