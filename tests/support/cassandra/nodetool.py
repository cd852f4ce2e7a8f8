"""
Cassandra's own ``nodetool`` against one of our nodes.

Rules that live here: it runs from the same jars as the node, over the node's JMX port on 127.0.0.1; a run takes about
two seconds, most of them Java's.
"""

from __future__ import annotations

import subprocess

from tests.support.cassandra import jars
from tests.support.cassandra.node import Node
from tests.support.cassandra.settings import opened


def nodetool(node: Node, *words: str) -> str:
    """Run one command, such as ``("settimeout", "counterwrite", "10")``, and return what it printed."""
    folder = node.place.folder
    command = [jars.java(), "-XX:-UsePerfData", "-Xmx64m", *opened()]
    command += [f"-Djava.io.tmpdir={folder / 'tmp'}", f"-Dlogback.configurationFile={folder / 'logback.xml'}"]
    command += [f"-Duser.home={folder}", "-cp", f"{jars.jars()}/*"]  # it keeps a history in the user's home
    command += ["org.apache.cassandra.tools.NodeTool", "-h", "127.0.0.1", "-p", str(node.place.jmx_port), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"nodetool {' '.join(words)} on {node.address}: {done.stdout}{done.stderr}"
    return done.stdout
