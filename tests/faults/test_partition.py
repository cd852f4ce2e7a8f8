"""A network partition between two nodes, and between the client and one of them, in a network of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OWN_NETWORK = ["unshare", "--map-root-user", "--net"]
RULES = (
    "ip link add to1 type veth && ip rule add pref 5 from 10.77.1.1 blackhole "
    "&& echo 1 >/proc/sys/net/ipv4/ip_forward && nsenter --target $$ --net true"
)


@pytest.fixture
def own_network() -> None:
    """Skip the test where this machine gives no network of one's own, or no rules in it."""
    try:
        tried = subprocess.run([*OWN_NETWORK, "sh", "-c", RULES], capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"no network of its own for a partition: {error}")
    if tried.returncode:
        pytest.skip(f"no network of its own for a partition: {tried.stderr.strip()}")


def test_counting_goes_on_through_a_partition(own_nodes: None, own_network: None) -> None:
    program = [*OWN_NETWORK, sys.executable, "-m", "tests.support.partition"]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=380, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-4000:]}"
    assert done.stdout.count("held: ") == 2
