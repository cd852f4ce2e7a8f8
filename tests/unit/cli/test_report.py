"""What a replay says at its end."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from aggregator.cli.counting import Tally
from aggregator.cli.failure import NOT_STORED, Failure
from aggregator.cli.report import Report
from aggregator.core.records import Stats
from coodie.exceptions import InvalidQueryError

KEYS = "hits bad_lines keys applied unknown dropped statements flushes elapsed verified".split()


def report(urls: dict[str, int] | None = None, tally: Tally | None = None, **stats: Any) -> Report:
    counted = tally or Tally(Counter({"/a": 2, "/b": 1} if urls is None else urls), bad_lines=1)
    defaults: dict[str, Any] = dict.fromkeys(Stats.__struct_fields__, 0)
    defaults |= {"applied": counted.hits, "statements": 2, "flushes": 1, "coalescing": 1.5, "last_error": None}
    return Report(counted, Stats(**(defaults | stats)), elapsed=1.23456)


def failures(of: Report, capsys: pytest.CaptureFixture[str]) -> list[str]:
    with pytest.raises(Failure) as caught:
        of.raise_failures()
    assert caught.value.code == NOT_STORED
    return [*capsys.readouterr().err.splitlines(), str(caught.value)]


def test_json_is_one_object_with_the_keys_of_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    report().print("hits.db", "page_hits", as_json=True)
    figures = json.loads(capsys.readouterr().out)
    assert list(figures) == KEYS
    assert figures["hits"] == 3
    assert figures["keys"] == 2
    assert figures["bad_lines"] == 1
    assert figures["verified"] is None


def test_the_table_fits_80_columns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Even with the name of a store that does not; nothing of it is lost."""
    monkeypatch.setenv("COLUMNS", "80")
    store = "/a/very/long/[bold]path/" * 8
    report({"/a": 1_234_567}).print(store, "page_hits", as_json=False)
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "1,234,567" in out
    assert store in "".join(line.strip("│┃ ").removeprefix("store").strip("│ ") for line in out.splitlines())


def test_success_raises_nothing() -> None:
    report().raise_failures()


@pytest.mark.parametrize(
    ("stats", "words"),
    [
        ({"pending": 2, "in_flight": 1, "last_error": "gone"}, "3 hits were not stored; last error: gone"),
        ({"unknown": 3}, "3 hits may or may not have been stored"),
        ({"dropped": 3}, "3 hits were refused"),
    ],
)
def test_what_was_not_stored_is_said(stats: dict[str, Any], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = failures(report(**stats), capsys)
    assert words in line


def test_each_thing_that_went_wrong_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    bad = report(tally=Tally(Counter({"/a": 1}), error=RuntimeError("full")))
    bad.faults.append("a.gz: cut short")
    bad.is_interrupted = True
    lines = failures(bad, capsys)
    assert ["a.gz: cut short" in lines[0], "counting stopped: RuntimeError: full" in lines[1]] == [True, True]
    assert "interrupted" in lines[2]


def test_logs_without_a_request_are_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no line of the input holds a request" in failures(report({}), capsys)[0]


def test_what_stopped_the_counting_is_not_blamed_on_the_logs(capsys: pytest.CaptureFixture[str]) -> None:
    """With nothing counted because of an error, the error alone is said; its type where its text may say nothing."""
    assert failures(report(tally=Tally(error=BufferError())), capsys) == ["counting stopped: BufferError"]
    assert failures(report(tally=Tally(error=InvalidQueryError("no"))), capsys) == ["counting stopped: no"]


def test_differences_are_shown_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    bad = report()
    bad.is_verified, bad.differences = False, {f"/{number}\n" + "x" * 1000: (1, 2) for number in range(9)}
    lines = failures(bad, capsys)
    assert len(lines) == 4
    assert lines[-1] == "verify: 9 urls differ"
    assert max(map(len, lines)) < 120
