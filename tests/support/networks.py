"""
Nodes in networks of their own, joined by a router whose rules can part any two of them.

Rules that live here:

* Run inside ``unshare --map-root-user --net``: the process is the router and the client, and root in its own network
  alone. Each node's network is held by a process that sleeps, and is gone with it.
* Nodes reach each other through the router only, each from its one address: what goes between two addresses, both ways,
  is dropped there while ``parted`` lasts. (On one loopback all nodes connect from 127.0.0.1, and no rule can tell them
  apart.)
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.cassandra import Cluster, Node, jars
from tests.support.cassandra.settings import Place
from tests.support.cassandra.watchdog import Watchdog

NATIVE, STORAGE, JMX = 9042, 7000, 7199


def ip(*words: str, into: int | None = None) -> None:
    """Run one command of iproute2, in the network of a process where one is given; raise where it is refused."""
    there = [] if into is None else ["nsenter", "--target", str(into), "--net"]
    subprocess.run([*there, "ip", *words], check=True, capture_output=True)


def addresses(number: int) -> tuple[str, str]:
    """Return the address of a node, and the router's towards it."""
    return f"10.77.{number}.1", f"10.77.{number}.254"


@contextmanager
def network(number: int) -> Iterator[int]:
    """Make a node's network, joined to ours; give the process that holds it."""
    node, router = addresses(number)
    with subprocess.Popen(["unshare", "--net", "sh", "-c", "echo made; exec sleep infinity"], stdout=-1) as holder:
        try:
            assert holder.stdout is not None
            holder.stdout.readline()  # it has a network of its own now
            ip("link", "add", f"to{number}", "type", "veth", "peer", "name", "out", "netns", str(holder.pid))
            ip("address", "add", f"{router}/24", "dev", f"to{number}")
            ip("link", "set", f"to{number}", "up")
            ip("link", "set", "lo", "up", into=holder.pid)
            ip("address", "add", f"{node}/24", "dev", "out", into=holder.pid)
            ip("link", "set", "out", "up", into=holder.pid)
            ip("route", "add", "default", "via", router, into=holder.pid)
            yield holder.pid
        finally:
            holder.kill()


@contextmanager
def cluster(nodes: int, *java_options: str, **options: object) -> Iterator[Cluster]:
    """Start a cluster, each node in a network of its own."""
    ip("link", "set", "lo", "up")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    folder = Path(tempfile.mkdtemp(prefix="coodie-cassandra-"))
    watchdog = Watchdog(folder)
    made = Cluster([], watchdog)
    with ExitStack() as stack:
        stack.enter_context(made)
        for number in range(1, nodes + 1):
            holder = stack.enter_context(network(number))
            watchdog.watch(holder)
            node = Node(_place(folder, number, java_options, options), jars.java(), jars.jars(), watchdog.watch)
            node._command = ["nsenter", "--target", str(holder), "--net", *node._command]
            made.nodes.append(node)
            node.start()
        made.wait_connected()
        yield made


def _place(folder: Path, number: int, java_options: tuple[str, ...], options: Mapping[str, object]) -> Place:
    address = addresses(number)[0]
    return Place(
        address=address,
        folder=folder / address,
        native_port=NATIVE,
        storage_port=STORAGE,
        seed=addresses(1)[0],
        tokens=4,
        heap=("256m", "640m"),
        jmx_port=JMX,
        options=options,
        java_options=java_options,
    )


@contextmanager
def parted(one: str, other: str) -> Iterator[None]:
    """Drop everything between two addresses for the time of the context."""
    ways = [("from", one, "to", other), ("from", other, "to", one)]
    for way in ways:
        ip("rule", "add", "pref", "5", *way, "blackhole")
    try:
        yield
    finally:
        for way in ways:
            ip("rule", "del", "pref", "5", *way, "blackhole")
