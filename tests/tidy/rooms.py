"""
Who may import whom: the table, and the check.

Rules that live here:

* A room is a module or a package directly under ``coodie`` or ``aggregator``; ``ROOMS`` says which modules share one.
* A room imports itself, what its row names (a room, or one module of a room), and what everyone may.
* ``WIDER`` holds what goes beyond the table of the design, each with its reason; a line that nothing uses is a fault.
* Names that a package re-exports may be bound late, inside a function of its ``__init__``: those imports are free.
* A third-party client is imported in its own folder or file alone, and that folder only when it is opened.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from tests.tidy.source import Import

# Modules that are parts of another room: Aggregator is one class, and these are its organs.
_ORGANS = (
    "afterwards awaitable beginning binding bulk companions folding handing intake keeping machine memory merging "
    "orphans reports retired slots waiting"
)
ROOMS = {f"aggregator.{part}": "aggregator.api" for part in _ORGANS.split()}
ROOMS["aggregator.scopes"] = "aggregator.api"
ROOMS["aggregator.status_address"] = "aggregator.config"
for _part in ("durations", "floats", "json_scalars", "json_values", "type_text", "values", "written"):
    ROOMS[f"coodie.{_part}"] = "coodie.types"
ROOMS["coodie.shapes"] = "coodie.statement"
ROOMS["coodie.records"] = "coodie.statement"
ROOMS["coodie.table"] = "coodie.schema"
ROOMS["coodie.elements"] = "coodie.model"
ROOMS["coodie.lookups"] = "coodie.query"
ROOMS["coodie.options"] = "coodie.query"
ROOMS["coodie.builders"] = "coodie.query"

_FACE = (
    "coodie.run coodie.plans coodie.query coodie.model coodie.fields coodie.connections coodie.drivers.registry "
    "coodie.counters coodie.results coodie.batch"
)

ALLOWED = {
    "coodie": "coodie.aio coodie.sync coodie.fields coodie.results coodie.batch coodie.types coodie.drivers "
    "coodie.schema",
    "coodie.late": "",
    "coodie.exceptions": "",
    "coodie.statement": "",
    "coodie.fields": "",
    "coodie.results": "coodie.statement",
    "coodie.batch": "coodie.statement",
    "coodie.types": "coodie.fields",
    "coodie.schema": "coodie.fields coodie.types",
    "coodie.model": "coodie.schema coodie.fields",
    "coodie.query": "coodie.model",
    "coodie.cql": "coodie.schema coodie.types coodie.statement",
    "coodie.plans": "coodie.cql coodie.query coodie.model coodie.schema coodie.statement",
    "coodie.run": "coodie.drivers.protocol",
    "coodie.counters": "",
    "coodie.connections": "coodie.drivers",
    "coodie.drivers": "coodie.statement coodie.schema coodie.types",
    "coodie.sync": _FACE,
    "coodie.aio": _FACE,
    "coodie.testing": "coodie.drivers.protocol coodie.statement",
    "aggregator": "aggregator.api aggregator.core aggregator.lifecycle",
    "aggregator.__main__": "aggregator.cli",
    "aggregator.exceptions": "coodie.exceptions",
    "aggregator.config": "",
    "aggregator.core": "",
    "aggregator.delivery": "aggregator.core coodie",
    "aggregator.journal": "aggregator.core",
    "aggregator.metrics": "aggregator.core",
    "aggregator.flusher": "aggregator.core aggregator.delivery aggregator.journal aggregator.metrics",
    "aggregator.lifecycle": "",
    "aggregator.api": "aggregator.flusher aggregator.core aggregator.journal aggregator.delivery aggregator.lifecycle "
    "aggregator.metrics coodie",
    "aggregator.integrations": "aggregator.api",
    "aggregator.web": "aggregator.api",
    "aggregator.agent": "aggregator.api aggregator.journal aggregator.delivery",
    "aggregator.planning": "",
    "aggregator.cli": "aggregator.api coodie aggregator.journal aggregator.web aggregator.agent aggregator.planning",
    "aggregator.testing": "aggregator.api aggregator.core coodie",
}

# Rows of rooms the design does not name, and lines it did not foresee.
WIDER = {
    ("coodie", "coodie.late"): "its names are imported at their first use",
    ("coodie.sync", "coodie.late"): "likewise",
    ("coodie.aio", "coodie.late"): "likewise",
    ("coodie.drivers", "coodie.late"): "likewise",
    ("coodie.counter_rules", "coodie.model"): "what CounterDocument refuses, once for both faces",
    ("coodie.counter_rules", "coodie.counters"): "and its way to the installed sink",
    ("coodie.counter_rules", "coodie.schema"): "what it refuses depends on the kind of the table",
    ("coodie.batch", "coodie.plans"): "a batch of either face sends a plan",
    ("coodie.batch", "coodie.run"): "through its face's runner",
    ("coodie.batch", "coodie.connections"): "on the default connection",
    ("coodie.batch", "coodie.drivers"): "which its documents' connections are compared with",
    ("coodie.batch", "coodie.results"): "and answers an LWTResult",
    ("coodie.synced", "coodie.plans"): "what sync_table did to a table, once for both faces",
    ("coodie.synced", "coodie.schema"): "a read is checked against the kind of its Table",
    ("coodie.synced", "coodie.statement"): "a plan yields Statements and is sent Rows",
    ("coodie.sync", "coodie.counter_rules"): "the mixin of its CounterDocument",
    ("coodie.aio", "coodie.counter_rules"): "the mixin of its CounterDocument",
    ("coodie.sync", "coodie.synced"): "its sync_table",
    ("coodie.aio", "coodie.synced"): "its sync_table",
    ("coodie.sync", "coodie.statement"): "the types of a plan",
    ("coodie.aio", "coodie.statement"): "the types of a plan",
    ("coodie.sync", "coodie.schema"): "table_of, which model reaches too",
    ("coodie.aio", "coodie.schema"): "table_of, which model reaches too",
    ("coodie.query", "coodie.schema"): "names are checked against Table and Column when a filter is given",
    ("coodie.query", "coodie.types"): "and what collections are compared with, as their elements",
    ("coodie.query", "coodie.statement"): "a condition of a query is a Term of the statement",
    ("coodie.plans", "coodie.types"): "keys are checked and made canonical before any round trip",
    ("coodie.plans", "coodie.results"): "a plan answers with PagedResult and LWTResult",
    ("coodie.run", "coodie.statement"): "it carries Statement and Rows",
    ("coodie.connections", "coodie.counters"): "a change of the registry makes the sink forget its tables",
    ("coodie.connections", "coodie.schema"): "resolve() qualifies the Table by its keyspace",
    (
        "aggregator.flusher",
        "coodie.connections",
    ): "a batch goes to the driver registered under the row's connection name",
    ("aggregator.flusher", "coodie.statement"): "Fate and Outcome are what it settles",
    ("aggregator.flusher", "coodie.plans"): "own rows of exact tables are read before they are written again",
    ("aggregator.flusher", "coodie.run"): "by a plan, as any read",
    ("aggregator.lifecycle", "coodie.counters"): "the sink that a forked child inherits may be its parent's writer",
    ("aggregator.lifecycle", "aggregator.api"): "a forked child's open request scopes are its parent's: they end",
    ("aggregator.integrations", "aggregator.lifecycle"): "the started aggregator that a middleware is not given",
    ("aggregator.api", "aggregator.web"): "the endpoint of the option status begins and ends with its aggregator",
    ("aggregator.web", "aggregator.metrics"): "/metrics shows what a scrape of the collector does",
    ("aggregator.metrics", "aggregator.lifecycle"): "the started aggregator; and no fork while files are written",
    (
        "aggregator.integrations",
        "coodie.connections",
    ): "Django's settings say how to connect; a count waits for a commit",
    ("aggregator.integrations", "aggregator.cli"): "commands of manage.py are those of the command line",
    ("aggregator.integrations", "coodie.plans"): "and is checked before it",
    ("aggregator.agent", "aggregator.core"): "a move is a change of the agent's own rows",
    ("aggregator.agent", "aggregator.flusher"): "its flush is the engine's, which gathers first",
    ("aggregator.agent", "aggregator.lifecycle"): "no fork while a slot without an owner is open",
    ("aggregator.agent", "coodie.connections"): "a table of the workers is of a connection of the agent's",
    ("aggregator.agent", "coodie.types"): "keys of the intake are read from JSON and measured",
    ("aggregator.agent", "aggregator.web"): "the intake listens as the status endpoint does",
    ("aggregator.cli", "aggregator.core"): "the report prints the records that Aggregator hands out",
    ("aggregator.cli", "aggregator.integrations"): "the demo's server is an application like any user's",
}

# Where what is not of ours may be imported; what is not named here may be nowhere.
_DRIVERS = {"cassandra": "coodie.drivers.cassandra", "acsylla": "coodie.drivers.acsylla"}
_FRAMEWORKS = ("starlette", "fastapi", "flask", "django", "celery")
CLIENTS = {
    **_DRIVERS,
    **{name: f"aggregator.integrations.{name}" for name in _FRAMEWORKS},
    "asgiref": "aggregator.integrations.django",  # how Django crosses between sync and async; it comes with Django
    "prometheus_client": "aggregator.metrics.prometheus",
    "opentelemetry": "aggregator.metrics.opentelemetry",
    "pydantic": "coodie",
    "pydantic_core": "coodie",
    "typer": "aggregator.cli",
    "rich": "aggregator.cli",
    "uvicorn": "aggregator",  # the servers of the demo and the status endpoint
    "msgspec": "",
}


def is_in(name: str, place: str) -> bool:
    """Return whether a dotted name is the place or stands below it; everything is in the empty place."""
    return not place or name == place or name.startswith(f"{place}.")


def room(module: str) -> str:
    """Return the room a module of ours is in."""
    top = ".".join(module.split(".")[:2])
    return ROOMS.get(top, top)


def faults(imports: Iterable[Import], packages: frozenset[str]) -> list[str]:
    """Return one sentence for each import that no row allows; ``packages`` are the names of ``__init__`` modules."""
    found = []
    for each in imports:
        if each.local and each.importer in packages:
            continue
        if each.imported.split(".")[0] not in ("coodie", "aggregator"):
            found += _foreign(each)
        elif not _is_allowed(each) and (room(each.importer), room(each.imported)) not in WIDER:
            found.append(f"{each.importer}:{each.line} may not import {each.imported}")
        found += [
            f"{each.importer}:{each.line} imports {each.imported} before it is opened"
            for folder in _DRIVERS.values()
            if is_in(each.imported, folder) and not is_in(each.importer, folder) and not each.local
        ]
    return found


def unused(imports: Iterable[Import]) -> list[tuple[str, str]]:
    """Return the lines of WIDER that no import needs."""
    needed = {(room(each.importer), room(each.imported)) for each in imports if not _is_allowed(each)}
    return sorted(set(WIDER) - needed)


def _is_allowed(each: Import) -> bool:
    here, there = room(each.importer), room(each.imported)
    if here == there or any(is_in(each.imported, name) or there == name for name in ALLOWED.get(here, "").split()):
        return True
    if here in ("coodie.exceptions", "coodie.statement", "aggregator.core"):
        return here == "aggregator.core" and there == "aggregator.exceptions"
    return there in ("coodie.exceptions", "aggregator.exceptions") or (
        there == "aggregator.config" and here.startswith("aggregator")
    )


def _foreign(each: Import) -> list[str]:
    name = each.imported.split(".")[0]
    if name in sys.stdlib_module_names:
        return []
    place = CLIENTS.get(name)
    if place is None or not is_in(each.importer, place):
        return [f"{each.importer}:{each.line} may not import {name}: {place or 'nobody'} may"]
    return []


def cycles(imports: Iterable[Import], packages: frozenset[str]) -> Iterator[str]:
    """Yield each pair of modules that reach each other by imports, local ones too."""
    reached: dict[str, set[str]] = {}
    for each in imports:
        if not (each.local and each.importer in packages):
            reached.setdefault(each.importer, set()).add(each.imported)
    grown = True
    while grown:
        grown = False
        for targets in reached.values():
            beyond = set().union(*(reached.get(target, set()) for target in targets)) - targets
            grown |= bool(beyond)
            targets.update(beyond)
    for name, targets in sorted(reached.items()):
        yield from (
            f"{name} and {other} import each other"
            for other in sorted(targets)
            if name < other and name in reached.get(other, ())
        )
