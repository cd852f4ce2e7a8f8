"""Every example runs, and counts what it says."""

from __future__ import annotations

from pathlib import Path

from tests.integration.processes import ROOT, fetch, interrupt, run, serving, stored

EXAMPLES = ROOT / "examples"


def test_the_sync_script(tmp_path: Path) -> None:
    """A second run doubles the total."""
    for total in (4, 8):
        done = run([str(EXAMPLES / "script_sync.py")], tmp_path, COODIE_DATABASE="words.db")
        assert done.returncode == 0, done.stderr.decode()
        assert done.stdout.decode().splitlines() == ["9 words in 6 statements", f"the: {total}"]


def test_the_async_script(tmp_path: Path) -> None:
    done = run([str(EXAMPLES / "script_async.py")], tmp_path, COODIE_DATABASE="events.db")
    assert done.returncode == 0, done.stderr.decode()
    first, *sensors = done.stdout.decode().splitlines()
    assert first.startswith("10000 increments in ")
    assert sensors == [f"sensor-{number}: 2000 events, 200 alarms" for number in range(5)]


def test_the_asgi_application(tmp_path: Path) -> None:
    arguments = ["-m", "uvicorn", "examples.asgi_app:app", "--log-level", "error", "--port"]
    with serving(arguments, tmp_path, COODIE_DATABASE="hits.db") as (process, address):
        assert [fetch(f"{address}/home") for _ in range(3)] == ["this is /home"] * 3
        while fetch(f"{address}/hits/home") != "3":  # the background flush
            pass
        fetch(f"{address}/last")
        interrupt(process)
    assert stored(tmp_path / "hits.db") == {"/home": 3, "/last": 1}


def test_the_wsgi_application(tmp_path: Path) -> None:
    """Its /broken page fails, and counts nothing."""
    with serving([str(EXAMPLES / "wsgi_app.py")], tmp_path, COODIE_DATABASE="hits.db") as (process, address):
        assert [fetch(f"{address}/home") for _ in range(3)] == ["this is /home"] * 3
        while fetch(f"{address}/hits/home") != "3":
            pass
        try:
            fetch(f"{address}/broken")
        except OSError as error:
            assert "500" in str(error)  # noqa: PT017 - urllib's error holds a socket that must not outlive the test
        fetch(f"{address}/last")
        interrupt(process)
    assert stored(tmp_path / "hits.db") == {"/home": 3, "/last": 1}


def test_every_example_is_short() -> None:
    """An example is read in one go: at most 80 lines."""
    lengths = {path.name: len(path.read_text().splitlines()) for path in EXAMPLES.glob("*.py")}
    assert len(lengths) >= 4
    assert max(lengths.values()) <= 80
