"""
The end of a history: everything is mended, every slot gets a living owner, all is written, and the books are opened.

Rules that live here:

* Exact tables, and those of the embedded store: what is stored equals what was counted, but for what is uncertain (see
  ``books``). Native tables: likewise, within what is parked as of unknown fate, which a person would resolve.
* A row that the database refuses holds nothing.
"""

from __future__ import annotations

from typing import Any

from tests.simulation.database import Violation
from tests.simulation.driver import POISON
from tests.simulation.patches import Theatre
from tests.simulation.stage import Killed
from tests.simulation.world import World

Place = tuple[str, tuple[Any, ...], str]


def play(theatre: Theatre, seed: int) -> None:
    """Play the history of a seed; a ``Violation`` tells the seed and the whole history."""
    world = World(theatre, seed)
    try:
        world.play()
        end(world)
    except (Exception, Killed) as error:
        lines = "\n".join(world.stage.history)
        raise Violation(
            f"seed {seed}: {type(error).__name__}: {error}\n{lines}\n\n"
            f"replay: python -m pytest tests/simulation --seed {seed}"
        ) from error


def end(world: World) -> None:
    """Mend everything, write everything, and compare."""
    stage = world.stage
    stage.note("the end: everything is mended")
    stage.is_dead, world.is_calm = False, True
    world.disk.is_full = world.disk.is_failing = False
    stage.clock_error = 0.0
    stage.now += 10 * 86400.0
    for driver in world.drivers:
        driver.is_rough = driver.is_away = False
        driver.refused = set()
        if stage.chance(0.5):
            driver.arrive(1000)
    for process in list(world.processes):
        keeping = process.machine.keeping
        if keeping is not None and keeping.files._is_broken:  # type: ignore[attr-defined]  # simulated
            world.died(process.number, process)  # a failed sync is final: it must be restarted
    _own_all(world)
    _come_to_rest(world)
    for driver in world.drivers:
        driver.arrive(1000)
    _judge(world)


def _own_all(world: World) -> None:
    """Start processes until each slot of the journal has one."""
    world.most_processes = 100
    for _ in range(50):
        if world.processes and all(slot.owner is not None for slot in world.disk.slots_made):
            return
        world.start()
    raise Violation("there is a slot that nobody can own")


def _come_to_rest(world: World) -> None:
    world.stage.meanwhile = None
    for _ in range(30):
        is_done = True
        for process in list(world.processes):
            world.stage.is_dead, world.disk.process = False, process.number
            machine = process.machine
            machine.orphans.look(world.stage.now)
            result = machine.engine.flush(asked=True, timeout=20.0)
            process.check()
            is_done = is_done and not (result.remaining or machine.orphans._adopted or _restless(world))
        world.stage.now += 60.0
        _own_all(world)
        if is_done and all(slot.owner is not None for slot in world.disk.slots_made):
            return
    raise Violation(f"it never comes to rest: {_restless(world)}")


def _restless(world: World) -> list[str]:
    return [
        f"{process.number}: {held.name} {held.error or ''}"
        for process in world.processes
        for held in process.machine.buffer.tables.values()
        if held.late or held.resumed or held.totals.in_flight or any(True for _ in held.totals.dirty_chunks())
    ]


def _judge(world: World) -> None:
    """Compare what is stored with what was counted."""
    parked = _parked(world)
    for (model, key, name), line in world.books.lines.items():
        table = model.__coodie_table__
        is_embedded = model.Settings.connection == "embedded"
        full_name = table.name if is_embedded else f"ks.{table.name}"
        stored = world.databases[is_embedded].total(full_name, key, name)
        negative, positive = parked.get((table.name, key, name), (0, 0))
        least = line.certain + line.perhaps[0] - positive
        most = line.certain + line.perhaps[1] - negative
        if POISON in key:
            least = most = 0
        if not least <= stored <= most:
            raise Violation(
                f"{table.name}{key}.{name} holds {stored}, not {least} to {most} ({line.certain} counted for sure, "
                f"{line.perhaps} perhaps, {(negative, positive)} of unknown fate)"
            )
        if (negative or positive) and table.counters == "exact":
            raise Violation(f"{table.name}{key}.{name} is exact, and {(negative, positive)} is of unknown fate")


def _parked(world: World) -> dict[Place, tuple[int, int]]:
    """Return what is of unknown fate: negative and positive units."""
    found: dict[Place, tuple[int, int]] = {}
    for process in world.processes:
        for held in process.machine.buffer.tables.values():
            for key, entry in held.unknown.entries.items():
                for name in entry.deltas:
                    place = (held.name.rpartition(".")[2], key if isinstance(key, tuple) else (key,), name)
                    negative, positive = found.get(place, (0, 0))
                    negative += entry.negative.get(name, 0)
                    found[place] = (negative, positive + entry.positive.get(name, 0))
    return found
