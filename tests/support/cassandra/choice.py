"""
Which Cassandra the tests run on.

Rules that live here: the order is a given cluster, Docker, Java; the choice is told as text; a way that does not
exist on this machine is passed over in silence and quickly, one that exists and fails is told.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.support import frames
from tests.support.cassandra import jars
from tests.support.cassandra.cluster import Cluster
from tests.support.cassandra.errors import NotAvailable
from tests.support.cassandra.jars import VERSION

_ENGINE_ANSWER_SECONDS = 5
_CONTAINER_READY_SECONDS = 180


@dataclass(frozen=True)
class Server:
    """A Cassandra that answers; ``stop`` ends it where it is ours."""

    hosts: list[str]
    port: int
    choice: str
    stop: Callable[[], None]


def obtain(tell: Callable[[str], None]) -> Server:
    """
    Return a running Cassandra and ``tell`` which; raise NotAvailable, saying why, where none of the three ways exists.
    """
    server = _given() or _docker(tell) or _java()
    tell(f"Cassandra for the tests: {server.choice}")
    return server


def fetch(tell: Callable[[str], None]) -> None:
    """Fetch what ``obtain`` will need and does not have yet; ``tell`` what is missing, and leave the rest to it."""
    if _given() or _engine_answers():
        return
    try:
        jars.java()
        tell(f"Cassandra {VERSION} for the tests is in {jars.jars()}")
    except NotAvailable as missing:
        tell(f"No Cassandra for the tests: {missing}")


def _given() -> Server | None:
    hosts = [host.strip() for host in os.environ.get("COODIE_TEST_HOSTS", "").split(",") if host.strip()]
    if not hosts:
        return None
    port = int(os.environ.get("COODIE_TEST_PORT", "9042"))
    return Server(hosts, port, f"COODIE_TEST_HOSTS: {','.join(hosts)} port {port}", lambda: None)


def _docker(tell: Callable[[str], None]) -> Server | None:
    if not _engine_answers():
        return None
    from testcontainers.core.container import DockerContainer  # slow to import, and seldom needed

    container = DockerContainer(f"cassandra:{VERSION}").with_exposed_ports(9042).with_env("MAX_HEAP_SIZE", "1G")
    container.with_env("HEAP_NEWSIZE", "200M").with_env(
        "JVM_EXTRA_OPTS", "-Dcassandra.skip_wait_for_gossip_to_settle=0"
    )
    try:
        container.start()
        host, port = container.get_container_host_ip(), int(container.get_exposed_port(9042))
        _wait(host, port)
    except Exception as error:  # an image that cannot be fetched, a full disk, ...: Java may still do
        container.stop()
        tell(f"A Docker engine answers, but cassandra:{VERSION} does not start there: {error!r}")
        return None
    return Server([host], port, f"Docker: cassandra:{VERSION} on {host} port {port}", container.stop)


def _wait(host: str, port: int) -> None:
    deadline = time.monotonic() + _CONTAINER_READY_SECONDS
    while not frames.answers(host, port):
        if time.monotonic() > deadline:
            raise NotAvailable(f"no CQL on {host} port {port} after {_CONTAINER_READY_SECONDS} s")
        time.sleep(0.2)  # another process can only be polled


def _engine_answers() -> bool:
    """Return whether there is a Docker engine behind the client, if there is a client at all."""
    try:
        command = ["docker", "version", "--format", "{{.Server.Version}}"]
        answer = subprocess.run(command, capture_output=True, timeout=_ENGINE_ANSWER_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and bool(answer.stdout.strip())


def _java() -> Server:
    try:
        cluster = Cluster.start(1)
    except NotAvailable as missing:
        raise NotAvailable(f"COODIE_TEST_HOSTS is not set, no Docker engine answers, and {missing}") from missing
    choice = f"Java: Cassandra {VERSION} on {cluster.hosts[0]} port {cluster.port}"
    return Server(cluster.hosts, cluster.port, choice, cluster.stop)
