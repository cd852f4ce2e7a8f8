"""The command line and the files of one node: what Cassandra 5.0 needs to run from its jars on Java 17."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_OPENED = {
    "java.base": "jdk.internal.misc jdk.internal.ref jdk.internal.loader jdk.internal.reflect jdk.internal.math "
    "jdk.internal.module jdk.internal.util.jar sun.nio.ch java.lang java.lang.module java.io java.nio java.util "
    "java.util.concurrent java.util.concurrent.atomic",
    "java.management.rmi": "com.sun.jmx.remote.internal.rmi",
    "java.rmi": "sun.rmi.registry sun.rmi.server",
    "java.sql": "java.sql",
    "jdk.management": "com.sun.management.internal",
}

_LOGBACK = """<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{yyyy-MM-dd'T'HH:mm:ss.SSS,UTC} %-5level %logger{0} %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="OUT"/></root>
</configuration>
"""


@dataclass(frozen=True)
class Place:
    """Where one node lives: its address and folder, and what it shares with its cluster."""

    address: str
    folder: Path
    native_port: int
    storage_port: int
    seed: str
    tokens: int
    heap: tuple[str, str]  # -Xms, -Xmx
    jmx_port: int  # on 127.0.0.1, for nodetool
    options: Mapping[str, object] = field(default_factory=dict)  # more of cassandra.yaml, or instead of what is here
    java_options: tuple[str, ...] = ()


def write(place: Place) -> None:
    """Write the files the node reads at its start; what it stores is left alone."""
    (place.folder / "tmp").mkdir(parents=True, exist_ok=True)
    (place.folder / "logback.xml").write_text(_LOGBACK)
    # JSON is YAML, and saves the tests a YAML library.
    (place.folder / "cassandra.yaml").write_text(json.dumps(_yaml(place), indent=1))


def _yaml(place: Place) -> dict[str, object]:
    seeds = {
        "class_name": "org.apache.cassandra.locator.SimpleSeedProvider",
        "parameters": [{"seeds": f"{place.seed}:{place.storage_port}"}],
    }
    return {
        "cluster_name": "coodie-tests",
        "num_tokens": place.tokens,
        "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
        "data_file_directories": [str(place.folder / "data")],
        "commitlog_directory": str(place.folder / "commitlog"),
        "saved_caches_directory": str(place.folder / "saved_caches"),
        "hints_directory": str(place.folder / "hints"),
        "cdc_raw_directory": str(place.folder / "cdc_raw"),
        "commitlog_sync": "periodic",
        "commitlog_sync_period": "10000ms",
        "listen_address": place.address,
        "rpc_address": place.address,
        "storage_port": place.storage_port,
        "native_transport_port": place.native_port,
        "endpoint_snitch": "SimpleSnitch",
        "seed_provider": [seeds],
        "auto_bootstrap": False,
        # Short, so that a fault shows itself quickly.
        "write_request_timeout": "2000ms",
        "counter_write_request_timeout": "2000ms",
        **place.options,
    }


def command(place: Place, java: str, jars: Path) -> list[str]:
    """Return the command that runs the node in the foreground."""
    properties = {
        "cassandra.config": (place.folder / "cassandra.yaml").as_uri(),
        "cassandra.storagedir": place.folder,
        "logback.configurationFile": place.folder / "logback.xml",
        "java.io.tmpdir": place.folder / "tmp",
        "jna.tmpdir": place.folder / "tmp",
        "cassandra-foreground": "yes",
        "cassandra.skip_wait_for_gossip_to_settle": 0,
        "cassandra.superuser_setup_delay_ms": 0,
        "cassandra.ring_delay_ms": 1000,
        "cassandra.jmx.local.port": place.jmx_port,
    }
    return [
        java,
        f"-Xms{place.heap[0]}",
        f"-Xmx{place.heap[1]}",
        *place.java_options,
        "-XX:-UsePerfData",  # else each start leaves a file in the system's temporary folder
        *opened(),
        *(f"-D{name}={value}" for name, value in properties.items()),
        "-cp",
        f"{place.folder}:{jars}/*",
        "org.apache.cassandra.service.CassandraDaemon",
    ]


def opened() -> list[str]:
    """Return the options by which Java lets Cassandra's classes at its own insides."""
    pairs = [(module, package) for module, packages in _OPENED.items() for package in packages.split()]
    return [
        f"--add-{verb}={module}/{package}=ALL-UNNAMED" for module, package in pairs for verb in ("exports", "opens")
    ]
