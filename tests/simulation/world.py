"""
One history: what is chosen from a seed, and played step by step. See ``ending`` for how it is judged.

Rules that live here:

* A world has a character (how long a journal's promises reach, how many processes, which tables, how rough the
  database is) and a number of steps, all chosen from the seed.
* What the product is known not to keep is left out where a comment says "Known", and nowhere else.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from aggregator.config import Options, read_options
from aggregator.exceptions import JournalError
from coodie import counters
from coodie.schema import Table
from tests.simulation.books import Books
from tests.simulation.database import Database
from tests.simulation.disk import Content, Disk
from tests.simulation.driver import POISON
from tests.simulation.models import MODELS, Hits, Likes, Plays
from tests.simulation.patches import Theatre
from tests.simulation.process import Process
from tests.simulation.stage import Killed, Stage

SITES = ("a", "b", "c", "d", "e", "f", "g", "h", "i", "j", POISON)


class World:
    """The world of one seed."""

    def __init__(self, theatre: Theatre, seed: int) -> None:
        self.theatre = theatre
        self.stage = stage = Stage(seed)
        self.books = Books()
        random = stage.random
        self.only_grows = stage.chance(0.6)
        self.durability = "disk" if stage.chance(0.4) else "process"
        self.disk = Disk(stage)
        self.has_journal = stage.chance(0.9)
        self.may_lose_power = self.has_journal and stage.chance(0.3)
        self.models = random.sample(MODELS, random.randint(1, 3))
        if self.may_lose_power and self.durability == "process":
            # Not promised: an exact table's journal that is old may go on under its writer's name where every row it
            # was compared with was older than it knew.
            self.models = [Hits, Likes, Plays]
        self.sites = random.sample(SITES, random.randint(1, 8))
        self.most_processes = random.choice((1, 1, 2, 3))
        self.options = self._options()
        self.is_calm = False  # nobody is killed any more
        self.processes: list[Process] = []
        self.started = 0
        self.snapshots: list[tuple[int, Content]] = []
        self.databases = [Database(only_grows=self.only_grows) for _ in range(2)]
        theatre.stage, theatre.disk = stage, self.disk
        self.drivers = (theatre.cluster, theatre.embedded)
        for driver, database in zip(self.drivers, self.databases, strict=True):
            driver.begin(stage, database)
            driver.is_rough = stage.chance(0.6)
        stage.note(f"{'journal, ' + self.durability if self.has_journal else 'no journal'}; {self.options.when_full}")

    def _options(self) -> Options:
        random = self.stage.random
        journal: dict[str, Any] = {"journal": "simulated", "durability": self.durability} if self.has_journal else {}
        return read_options(
            {
                "max_keys": random.choice((2, 3, 5, 50)),
                "flush_concurrency": random.choice((1, 2, 3)),
                "when_full": random.choice(("flush", "raise", "drop", "direct")),
                "flush_timeout": 20.0,
                **journal,
            },
            {},
        )

    # --- playing ----------------------------------------------------------------------------------------------

    def play(self) -> None:
        """Play the whole history; raises ``Violation`` where a promise is broken."""
        random = self.stage.random
        steps, weights = zip(*self._steps(), strict=True)
        for _ in range(random.randint(8, 40)):
            while not self.processes:
                self.start()
            step: Callable[[], None] = random.choices(steps, weights)[0]
            step()
            self.stage.is_dead = False
            for process in self.processes:
                process.check()
                process.rest()

    def _steps(self) -> list[tuple[Callable[[], None], float]]:
        found: list[tuple[Callable[[], None], float]] = [
            (self.count, 14),
            (self.flush, 6),
            (self.start, 1),
            (self.stop, 0.7),
            (self.look, 0.7),
            (self.wait, 1),
            (self.step_clock, 0.5),
            (self.arrive, 1),
            (self.change_weather, 1),
        ]
        if self.has_journal:
            # Known: what a recovery parks while the disk is full is in no log, and a power loss finds it again.
            found += [(self.kill, 1.5), (self.sync, 1), (self.disk.write_back, 0.5)]
            found += [(self.fill_disk, 0.0 if self.may_lose_power else 0.6)]
        if self.may_lose_power:
            found += [(self.lose_power, 0.7)]
            if self.durability == "process":
                found += [(self.take_snapshot, 0.7), (self.roll_back, 0.4)]
        return found

    def _run(self, process: Process | None, action: Callable[[], Any], name: str) -> Any:
        """Let a process act; it may die at any operation of it."""
        stage = self.stage
        number = self.started if process is None else process.number
        stage.note(f"{number}: {name}")
        stage.is_dead, stage.dies_at = False, None
        # Known: what a recovery parks while the disk is full is in no log; killed just then, the process loses it.
        if self.has_journal and not self.is_calm and stage.chance(0.15) and not (process is None and self.disk.is_full):
            stage.dies_at = stage.operations + 1 + int(stage.random.expovariate(0.1))
        self.disk.process = number
        if process is not None:
            counters.sink = process.machine.intake
            stage.meanwhile = lambda: self._count_in(process)
        try:
            return action()
        except Killed:
            self.died(number, process)
            return None
        finally:
            counters.sink, stage.meanwhile, stage.dies_at = None, None, None

    def died(self, number: int, process: Process | None) -> None:
        self.disk.died(number)
        if process is None:
            return
        self.processes.remove(process)
        for counted in process.calling:
            self.books.uncertain(counted)
        for counted in process.beside:
            self.books.doubted(counted)
        self._doubt_unlogged(process)

    def _doubt_unlogged(self, process: Process) -> None:
        """Doubt what is in no log: a full disk kept it out until the process ended, or there is no journal."""
        keeping = process.machine.keeping
        if keeping is not None and not keeping.journal._waiting:
            return
        for held in process.machine.buffer.tables.values():
            model = next(model for model in MODELS if model.__coodie_table__.name == held.name.rpartition(".")[2])
            for key in (*held.late, *held.unknown.entries):
                self.books.doubt_row(model, key if isinstance(key, tuple) else (key,))

    def _any(self) -> Process:
        return self.stage.random.choice(self.processes)

    # --- what processes do ------------------------------------------------------------------------------------

    def count(self) -> None:
        process = self._any()
        self._run(process, lambda: [self._count_in(process) for _ in range(self.stage.random.randint(1, 4))], "counts")

    def _count_in(self, process: Process) -> None:
        random = self.stage.random
        model = random.choice(self.models)
        table = model.__coodie_table__
        key = (random.choice(self.sites), *(random.randint(1, 2) for _ in table.primary_key[1:]))
        names = [column.name for column in table.counter_columns]
        deltas = {name: self._delta(table) for name in random.sample(names, random.randint(1, len(names)))}
        is_kept = process.increment(model, key, deltas)
        self.stage.note(f"    {process.number} {'' if is_kept else 'not kept: '}{table.name}{key} {deltas}")

    def _delta(self, table: Table) -> int:
        random = self.stage.random
        # An exact total must not leave 64 bits in all its life, a native one between two flushes.
        huge = 2**56 if table.counters == "exact" else 2**62
        size = random.choice((1, 1, 1, 7, 1000, 2**31 + 5, 2**40)) if self.stage.chance(0.97) else huge
        return size if self.only_grows or self.stage.chance(0.6) else -size

    def flush(self) -> None:
        process, asked = self._any(), self.stage.chance(0.7)
        self._run(process, lambda: process.machine.engine.flush(asked=asked, timeout=20.0), "flushes")

    def start(self) -> None:
        if len(self.processes) >= self.most_processes:
            return
        self.started += 1
        try:
            process = self._run(None, lambda: Process(self.started, self.options, self.books), "starts")
        except JournalError as error:
            if not self.disk.is_full and error.errno != errno.EIO:
                raise
            self.stage.note(f"    cannot start: {error}")
            self.disk.is_full = False
            return
        if process is not None:
            self.processes.append(process)

    def stop(self) -> None:
        process = self._any()

        def close() -> None:
            machine = process.machine
            machine.buffer.close()
            for _ in range(self.stage.random.randint(0, 2)):
                self._count_in(process)  # while the last flush is on its way
            machine.engine.flush(asked=True, timeout=20.0)
            if machine.dirty_rows() and not self.has_journal:
                return  # it must not end yet: nobody else would write that
            self.stage.meanwhile = None
            process.rest()
            self._doubt_unlogged(process)
            machine.close()
            self.processes.remove(process)
            self.stage.is_dead = True  # whatever it would still do is a fault
            self.disk.died(process.number)

        self._run(process, close, "stops")

    def look(self) -> None:
        if self.disk.is_full:
            return  # known, as in _run()
        process = self._any()
        self.stage.now += 11.0
        self._run(process, lambda: process.machine.orphans.look(self.stage.now), "looks for orphans")

    def kill(self) -> None:
        process = self._any()
        self.stage.note(f"{process.number}: is killed")
        self.died(process.number, process)

    def sync(self) -> None:
        process = self._any()
        try:
            self._run(process, process.machine.keeping.journal.sync, "syncs")  # type: ignore[union-attr]  # has a journal
        except JournalError as error:
            self.stage.note(f"    {error}")

    # --- what happens to them ---------------------------------------------------------------------------------

    def wait(self) -> None:
        self.stage.now += self.stage.random.choice((0.1, 3.0, 40.0))

    def step_clock(self) -> None:
        self.stage.clock_error = self.stage.random.choice((0.0, 0.0, -0.5, 100.0, -3600.0, 3600.0, -86400.0))
        self.stage.note(f"the wall clock is {self.stage.clock_error} s ahead")

    def arrive(self) -> None:
        for driver in self.drivers:
            driver.arrive(self.stage.random.randint(1, 3))

    def change_weather(self) -> None:
        driver = self.stage.random.choice(self.drivers)
        driver.is_rough, driver.is_away = self.stage.chance(0.5), self.stage.chance(0.2)
        tables = [model.__coodie_table__.name for model in self.models] if self.stage.chance(0.2) else []
        driver.refused = {name for table in tables[:1] for name in (table, f"ks.{table}")}
        self.stage.note(f"database: rough {driver.is_rough}, away {driver.is_away}, refuses {tables[:1]}")

    def fill_disk(self) -> None:
        self.disk.is_full = not self.disk.is_full
        self.stage.note(f"the disk is {'full' if self.disk.is_full else 'not full'}")

    def lose_power(self) -> None:
        self.stage.note("the power is lost")
        self._kill_all()
        for slot in self.disk.slots_made:
            for counted in slot.fresh if self.durability == "disk" else ():
                self.books.doubted(counted)
            slot.fresh.clear()
        self.disk.lose_power()
        if self.durability == "process":
            self.books.doubt_everything()

    def _kill_all(self) -> None:
        for process in list(self.processes):
            self.died(process.number, process)

    def take_snapshot(self) -> None:
        self.snapshots = [(slot.number, slot.now()) for slot in self.disk.slots_made]
        self.stage.note("a snapshot is taken of the volume")

    def roll_back(self) -> None:
        if not self.snapshots:
            return
        self.stage.note("the volume is rolled back to the snapshot, and the machine started")
        self._kill_all()
        for number, content in self.snapshots:
            slot = self.disk.slots_made[number]
            slot.content, slot.durable = content.copy(), content.copy()
            slot.changes += 1
        self.stage.boot += 1
        self.books.doubt_everything()
