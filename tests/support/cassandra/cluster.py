"""
A cluster of our own nodes, on free loopback addresses and ports.

Rules that live here: nodes are 127.0.x.1 to .n with the same two ports; the folder and the processes go with the
cluster, whether it is stopped or its program dies.
"""

from __future__ import annotations

import functools
import itertools
import random
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from tests.support.cassandra import jars
from tests.support.cassandra.node import Node
from tests.support.cassandra.settings import Place
from tests.support.cassandra.watchdog import Watchdog

_HEAP_ALONE = ("256m", "1g")
_HEAP_IN_CLUSTER = ("256m", "640m")


class Cluster:
    """Running nodes. Used by one thread at a time; a context manager that stops them."""

    def __init__(self, nodes: list[Node], watchdog: Watchdog) -> None:
        self.nodes = nodes
        self._watchdog = watchdog

    @classmethod
    def start(cls, nodes: int = 1, *java_options: str, **options: object) -> Cluster:
        """
        Start ``nodes`` nodes (1: about 6 s, 3: about 25 s) and return when all answer and know each other.

        ``options`` go into cassandra.yaml, ``java_options`` onto the command line.

        Raises NotAvailable where Java 17 or the jars are missing, StartFailed where a node does not get ready.
        """
        java, lib = jars.java(), jars.jars()
        folder = Path(tempfile.mkdtemp(prefix="coodie-cassandra-"))
        watchdog = Watchdog(folder)
        places = _places(folder, nodes, java_options, options)
        cluster = cls([Node(place, java, lib, watchdog.watch) for place in places], watchdog)
        try:
            for node in cluster.nodes:
                node.start()
            cluster.wait_connected()
        except BaseException:
            cluster.stop()
            raise
        return cluster

    @property
    def hosts(self) -> list[str]:
        """The nodes' addresses."""
        return [node.address for node in self.nodes]

    @property
    def port(self) -> int:
        """The port on which every node answers CQL."""
        return self.nodes[0].port

    def wait_connected(self, seconds: float = 60) -> None:
        """Return when every running node sees every other running node up; after a restart too."""
        running = [node for node in self.nodes if node.pid is not None]
        for node, other in itertools.permutations(running, 2):
            node.wait(functools.partial(node.sees, other), seconds)

    def mend(self) -> None:
        """Have every node run and see every other one, whatever was done to it."""
        for node in self.nodes:
            if node.pid is None:
                node.start()
            else:
                node.resume()
        self.wait_connected()

    def stop(self) -> None:
        """Kill the nodes and remove their data; idempotent."""
        for node in self.nodes:
            node.kill()
        self._watchdog.close()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _places(folder: Path, count: int, java_options: tuple[str, ...], options: Mapping[str, object]) -> list[Place]:
    addresses, native, storage, jmx = _free(count)
    return [
        Place(
            address=address,
            folder=folder / address,
            native_port=native,
            storage_port=storage,
            seed=addresses[0],
            tokens=1 if count == 1 else 4,
            heap=_HEAP_ALONE if count == 1 else _HEAP_IN_CLUSTER,
            jmx_port=own,
            options=options,
            java_options=java_options,
        )
        for address, own in zip(addresses, jmx, strict=True)
    ]


def _free(count: int) -> tuple[list[str], int, int, list[int]]:
    """
    Find addresses 127.0.x.1.., two ports free on all of them, and one each on 127.0.0.1, where JMX listens.

    All are below the range that outgoing connections use.
    """
    chance = random.SystemRandom()  # a seeded one would send two test runs to the same ports
    for _ in range(100):
        network = chance.randrange(1, 255)
        addresses = [f"127.0.{network}.{number + 1}" for number in range(count)]
        native, storage, *jmx = chance.sample(range(20000, 32000), 2 + count)
        wanted = [(address, port) for address in addresses for port in (native, storage)]
        if all(_is_free(address, port) for address, port in (*wanted, *(("127.0.0.1", port) for port in jmx))):
            return addresses, native, storage, jmx
    raise OSError("no free loopback ports between 20000 and 32000")


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True
