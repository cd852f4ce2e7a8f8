"""What deploy/ holds: by schema, by Prometheus's own tools, and against what the code has."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dockerfile_parse import DockerfileParser

from aggregator.config import Options
from aggregator.metrics.names import METRICS, STATES
from tests.docs.test_cli_pages import commands
from tests.integration.processes import ROOT

DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
MANIFESTS = list(yaml.safe_load_all((DEPLOY / "kubernetes/app.yaml").read_text()))
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
ALERTS = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((DEPLOY / "grafana/dashboards/aggregator.json").read_text())
NAMES = {metric.name: set(metric.labels) for metric in METRICS}
FROM_PROMETHEUS = {"job", "instance"}
PROMTOOL = pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool: install Debian's prometheus")


def ran(*command: str | Path) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pod() -> dict[str, Any]:
    found: dict[str, Any] = MANIFESTS[0]["spec"]["template"]["spec"]
    return found


def containers() -> list[dict[str, Any]]:
    return [*pod()["initContainers"], *pod()["containers"]]


def test_the_compose_file_fits_its_schema() -> None:
    ran(sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")


def test_the_manifests_fit_the_schemas_of_kubernetes() -> None:
    validate = Path(sys.executable).with_name("kubernetes-validate")
    ran(validate, "--strict", "-k", "1.29", DEPLOY / "kubernetes/app.yaml")


def test_a_manifest_with_a_misspelled_field_does_not_fit(tmp_path: Path) -> None:
    wrong = (DEPLOY / "kubernetes/app.yaml").read_text().replace("replicas:", "replica:")
    (tmp_path / "wrong.yaml").write_text(wrong)
    with pytest.raises(AssertionError, match="replica"):
        ran(Path(sys.executable).with_name("kubernetes-validate"), "--strict", "-k", "1.29", tmp_path / "wrong.yaml")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze: install systemd")
def test_the_units_are_verified_by_systemd(tmp_path: Path) -> None:
    for unit in UNITS:  # their programs and user are not on this machine
        text = re.sub(r"ExecStart=\S+", f"ExecStart={sys.executable}", unit.read_text())
        (tmp_path / unit.name).write_text(text.replace("User=shop", "User=root"))
    done = subprocess.run(
        ["systemd-analyze", "verify", *(tmp_path / unit.name for unit in UNITS)],
        env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "shop" in line]
    assert (done.returncode, ours) == (0, []), done.stderr


def test_the_image_is_built_in_two_stages_and_runs_as_somebody() -> None:
    image = DockerfileParser(path=str(DEPLOY / "Dockerfile"))
    steps = [(step["instruction"], step["value"]) for step in image.structure]
    stages = [value for instruction, value in steps if instruction == "FROM"]
    assert [stage.split()[0] for stage in stages] == ["python:3.13-slim"] * 2
    last = steps[max(at for at, (instruction, _) in enumerate(steps) if instruction == "FROM") :]
    assert [value for instruction, value in last if instruction == "USER"] == ["10001:10001"]
    assert not any("pip" in value for instruction, value in last if instruction == "RUN")
    for instruction, value in steps:
        if instruction == "COPY" and not value.startswith("--from"):
            *sources, _target = value.split()
            assert all((ROOT / source).exists() for source in sources), value


def test_application_and_agent_share_a_journal_one_user_and_have_time_to_write() -> None:
    app, agent = COMPOSE["services"]["app"], COMPOSE["services"]["agent"]
    assert app["build"] == agent["build"]  # one that only named the image would be pulled
    assert app["volumes"] == agent["volumes"] == ["journal:/var/lib/counters"]
    assert int(app["stop_grace_period"].removesuffix("s")) > Options.shutdown_timeout
    assert pod()["securityContext"]["runAsNonRoot"]
    assert len({str(each["volumeMounts"]) for each in containers()}) == 1
    assert pod()["terminationGracePeriodSeconds"] > 2 * Options.shutdown_timeout + 5
    for unit in UNITS:
        settings = dict(line.split("=", 1) for line in unit.read_text().splitlines() if "=" in line)
        assert (settings["User"], settings["StateDirectory"], settings["StateDirectoryMode"]) == (
            "shop",
            "shop",
            "0700",
        )
        assert int(settings["TimeoutStopSec"]) > Options.shutdown_timeout


def agents() -> Iterator[list[str]]:
    yield COMPOSE["services"]["agent"]["command"]
    yield from (each["command"] for each in containers() if "command" in each)
    for unit in UNITS:
        words = shlex.split(re.findall(r"ExecStart=(.*)", unit.read_text())[0])
        if words[0].endswith("aggregator"):
            yield ["aggregator", *words[1:]]


def test_the_commands_are_those_of_the_command_line() -> None:
    known = {path: {opt for param in command.params for opt in param.opts} for path, command in commands()}
    found = list(agents())
    assert len(found) == 3
    for words in found:
        options = {word for word in words if word.startswith("--")}
        assert options <= known["agent",], (words, options - known["agent",])


def environment() -> Iterator[str]:
    for name in ("app", "agent"):
        yield from COMPOSE["services"][name]["environment"]
    yield from (entry["name"] for each in containers() for entry in each["env"])
    for unit in UNITS:
        for line in re.findall(r"Environment=(.*)", unit.read_text()):
            yield from (word.partition("=")[0] for word in line.split())


def test_the_variables_are_options() -> None:
    known = {f"AGGREGATOR_{name.upper()}" for name in Options.__dataclass_fields__}
    assert set(environment()) <= known | {"COODIE_HOSTS", "COODIE_KEYSPACE"}


# --- figures -----------------------------------------------------------------------------------------------------


def queries() -> Iterator[str]:
    yield from (alert["expr"] for alert in ALERTS)
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel.get("targets", []))


def faults(query: str) -> Iterator[str]:
    """Yield what a query names that the code does not export."""
    used = set(re.findall(r"\baggregator_\w+", query))
    yield from used - set(NAMES)
    labels = FROM_PROMETHEUS.union(*(NAMES.get(name, set()) for name in used))
    for group in re.findall(r"(?:by|without) ?\(([^)]*)\)", query) + re.findall(r"\{([^}]*)\}", query):
        yield from (
            {word.strip() for word in re.findall(r"(\w+)(?:\s*[=!]~?|\s*[,)]|$|\s*$)", group)}
            - labels
            - set(re.findall(r'"(\w+)"', group))
        )
    yield from set(re.findall(r'state="(\w+)"', query)) - set(STATES)


@pytest.mark.parametrize("query", sorted(set(queries())))
def test_every_query_asks_for_what_the_code_exports(query: str) -> None:
    assert not list(faults(query))


@pytest.mark.parametrize(
    "query",
    [
        "sum(rate(aggregator_hits_total[1m]))",
        "sum by (tables) (aggregator_pending_units)",
        'aggregator_pending_units{colum="views"}',
        'aggregator_state{state="asleep"}',
    ],
)
def test_a_query_for_what_is_not_there_is_found(query: str) -> None:
    assert list(faults(query))


def test_what_means_loss_or_uncertainty_is_shown_and_alerted() -> None:
    shown = " ".join(target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", []))
    alerted = " ".join(alert["expr"] for alert in ALERTS)
    for metric in METRICS:
        if metric.meaning:
            assert metric.name in shown
            assert metric.name in alerted
    assert all(alert["annotations"]["action"] for alert in ALERTS)


@PROMTOOL
def test_prometheus_takes_rules_and_configuration() -> None:
    ran("promtool", "check", "rules", DEPLOY / "prometheus/alerts.yml")
    ran("promtool", "check", "config", DEPLOY / "prometheus/prometheus.yml")


@PROMTOOL
def test_each_alert_fires_and_is_silent() -> None:
    ran("promtool", "test", "rules", ROOT / "tests/deploy/alerts.yml")
