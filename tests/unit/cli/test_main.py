"""How the command ends when something goes wrong that no command expects."""

from __future__ import annotations

import pytest

from aggregator import cli
from aggregator.cli import main
from aggregator.exceptions import AggregatorError


def failing_with(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every command end with the error."""

    def run(arguments: list[str]) -> int:
        raise error

    monkeypatch.setattr(cli, "_run", run)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (KeyError("a\nb"), r"KeyError: 'a\nb'"),
        (RuntimeError("two\n  lines"), "RuntimeError: two lines"),
        (RuntimeError(), "RuntimeError"),
        (AggregatorError("known"), "known"),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
    ],
)
def test_any_error_is_one_line(
    error: Exception, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its type, unless it was written for the reader of a command."""
    monkeypatch.delenv("AGGREGATOR_TRACEBACK", raising=False)
    failing_with(error, monkeypatch)
    with pytest.raises(SystemExit) as end:
        main(["replay"])
    assert end.value.code == 1
    assert capsys.readouterr().err == f"aggregator: {line}\n"


def test_a_traceback_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGGREGATOR_TRACEBACK", "1")
    failing_with(RuntimeError("broken"), monkeypatch)
    with pytest.raises(RuntimeError, match="broken"):
        main(["replay"])
