"""``aggregator plan`` as an operator runs it, and against what real aggregators do."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aggregator.cli import main
from aggregator.cli.stats_endpoint import endpoints
from aggregator.core.records import Stats
from aggregator.planning import Question, plan
from tests.integration.processes import LIMIT_S, ROOT, environment, run, running

WORKERS, SECONDS = 2, 4.0


def planned(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    done = run(["-m", "aggregator", "plan", *arguments], tmp_path)
    assert done.returncode == 0, done.stderr
    return done


def counted(
    tmp_path: Path,
    rate: int,
    keys: int,
    zipf: float,
    interval: float,
    batch: int,
    meanwhile: Callable[[], None] = lambda: None,
    **environ: str,
) -> list[dict[str, float]]:
    """Run worker processes that count at a pace, all on one store; return what each did."""
    program = [sys.executable, "-m", "tests.integration.paced_counting", str(tmp_path / "hits.db")]
    numbers = (rate / WORKERS, keys, zipf, interval, batch, SECONDS)
    variables = environment(environ)
    workers = [
        subprocess.Popen([*program, *map(str, numbers), str(seed)], cwd=ROOT, env=variables, stdout=subprocess.PIPE)
        for seed in range(WORKERS)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"begun\n"
    meanwhile()
    outputs = [worker.communicate(timeout=LIMIT_S)[0] for worker in workers]
    assert all(worker.returncode == 0 for worker in workers)
    return [json.loads(output) for output in outputs]


@pytest.mark.parametrize(
    ("rate", "keys", "zipf", "interval", "batch", "tolerance"),
    [
        pytest.param(3_000, 500, 0.8, 0.5, 100_000, 0.12, id="the-interval-decides"),
        # A look at many rows takes its time on a busy machine, so flushes come some looks later.
        pytest.param(4_000, 1_000, 0.5, 2.0, 500, 0.20, id="the-number-of-rows-decides"),
    ],
)
def test_a_measured_run_writes_what_was_planned(
    tmp_path: Path, rate: int, keys: int, zipf: float, interval: float, batch: int, tolerance: float
) -> None:
    """Statements a second of real processes, at the rate they really reached, against the plan for that rate."""
    found = counted(tmp_path, rate, keys, zipf, interval, batch)
    reached = sum(each["hits"] / each["seconds"] for each in found)
    statements = sum(each["statements"] / each["until_last_flush"] for each in found)
    options = {"rate": reached, "keys": keys, "zipf": zipf, "workers": WORKERS, "interval": interval}
    options |= {"max-batch-size": batch, "write-rate": 250_000}  # of the embedded store: benchmarks/RESULTS.md
    arguments = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    told: Any = json.loads(planned(tmp_path, *arguments, "--json").stdout)
    assert statements == pytest.approx(told["statements_s"], rel=tolerance)


def test_a_measured_agent_writes_what_was_planned(tmp_path: Path) -> None:
    """Rows a flush of a real agent, by its own count over a part of the run, against the plan for the rate reached."""
    journal, status = str(tmp_path / "journal"), str(tmp_path / "status.sock")
    command = ["-m", "aggregator", "agent", "--journal", journal, "--database", str(tmp_path / "hits.db")]
    command += ["--status", status, "--flush-interval", "0.5"]
    seen: list[tuple[int, int, float]] = []  # statements, flushes and the time, as a flush had just ended

    def flushes() -> tuple[int, int, float]:
        [endpoint] = endpoints(status)
        stats = endpoint.read("/stats.json", Stats)
        return stats.statements, stats.flushes, time.monotonic()

    def look() -> None:
        until = time.monotonic() + SECONDS
        while len(seen) < 5:
            now = flushes()
            if not seen or now[1] > seen[-1][1]:
                seen.append(now)
            assert now[2] < until, f"the agent flushed too seldom: {seen}"
            time.sleep(0.01)

    with running(command, tmp_path) as agent:
        assert agent.stdout is not None
        agent.stdout.readline()
        options: dict[str, Any] = {"rate": 3_000, "keys": 20_000, "zipf": 1.0, "interval": 0.5, "batch": 500}
        found = counted(tmp_path, **options, meanwhile=look, AGGREGATOR_MODE="agent", AGGREGATOR_JOURNAL=journal)
    # The first was begun before the workers, the second holds what came before the first look.
    (first, first_flush, began), (last, last_flush, ended) = seen[1], seen[-1]
    reached = sum(each["hits"] / each["seconds"] for each in found)
    interval = (ended - began) / (last_flush - first_flush)
    question = Question(rate=reached, keys=20_000, workers=WORKERS, interval=interval, agent=True, write_rate=250_000)
    assert (last - first) / (last_flush - first_flush) == pytest.approx(plan(question).rows_per_flush, rel=0.12)


MILLION = ("--rate", "1000000", "--keys", "1000000", "--hosts", "100", "--workers", "10")


@pytest.mark.parametrize("more", [(), ("--journal",), ("--agent",)])
def test_what_people_see_fits_a_terminal(tmp_path: Path, more: tuple[str, ...]) -> None:
    text = planned(tmp_path, *MILLION, *more).stdout.decode()
    assert max(map(len, text.splitlines())) <= 80
    found = json.loads(planned(tmp_path, *MILLION, *more, "--json").stdout)
    assert found["processes"] == 1_000
    assert f"{found['statements_s']:,.0f} (+-" in text
    for loss in found["losses"]:
        assert loss["failure"] in text


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (("--keys", "5"), 2, "aggregator: Missing option '--rate'. (see aggregator --help)"),
        (("--rate", "0", "--keys", "5"), 2, "aggregator: --rate 0 is not allowed: a number above 0"),
        (("--rate", "nan", "--keys", "5"), 2, "aggregator: --rate nan is not allowed: a number above 0"),
        (("--rate", "5", "--keys", "5", "--max-keys", "9"), 2, "aggregator: --max-batch-size 500 is more than"),
        (("--rate", "1e6", "--keys", "10000000"), 1, "aggregator: does not work: more than max_keys=100,000 rows"),
    ],
)
def test_what_cannot_be_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, line: str
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["plan", *arguments])
    assert end.value.code == code
    [said] = capsys.readouterr().err.splitlines()
    assert said.startswith(line)
