"""
Java 17 and Cassandra's jars.

Rules that live here: the jars are resolved once per version by Maven into a cache outside the checkout; the cache
folder appears whole (made beside its place, then renamed), so two runs at once cannot see half of it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support.cassandra.errors import NotAvailable

VERSION = "5.0.5"

POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>coodie.tests</groupId>
  <artifactId>cassandra</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.cassandra</groupId>
      <artifactId>cassandra-all</artifactId>
      <version>{VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""


def java() -> str:
    """Return the path of a Java 17; raise NotAvailable where there is none."""
    for candidate in _javas():
        answer = subprocess.run([candidate, "-version"], capture_output=True, text=True, timeout=30, check=False)
        if re.search(r'version "17\.', answer.stderr):
            return candidate
    raise NotAvailable("no Java 17 (JAVA_HOME, PATH or the usual folders); on Debian: openjdk-17-jre-headless")


def _javas() -> Iterator[str]:
    if home := os.environ.get("JAVA_HOME"):
        yield from map(str, Path(home).glob("bin/java"))
    if found := shutil.which("java"):
        yield found
    yield from sorted(map(str, Path("/usr/lib/jvm").glob("*17*/bin/java")))


def jars() -> Path:
    """Return the folder that holds Cassandra's jars, filling it first where it is missing (about 10 s, 66 MB)."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "coodie-tests"
    folder = cache / f"cassandra-{VERSION}"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{folder.name}-", dir=cache) as made:
            _resolve(Path(made))
            try:
                (Path(made) / "lib").rename(folder)
            except OSError:  # another run was quicker and its folder is as good as ours
                if not folder.is_dir():
                    raise
    return folder


def _resolve(folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise NotAvailable("no Maven to fetch Cassandra's jars with; on Debian: maven")
    (folder / "pom.xml").write_text(POM)
    command = [maven, "-B", "-q", "dependency:copy-dependencies", f"-DoutputDirectory={folder / 'lib'}"]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=540, check=False)
    if answer.returncode:
        raise NotAvailable(f"Maven could not fetch Cassandra {VERSION}: {answer.stdout.strip()[-600:]}")
