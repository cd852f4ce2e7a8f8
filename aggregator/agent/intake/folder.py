"""
The folder of the intake's log: leased, read back, and set aside where it cannot be trusted.

Rules that live here: one process at a time has it; what it holds is read before anything is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from aggregator.agent.intake.producers import Producers
from aggregator.agent.intake.refusal import Refusal
from aggregator.agent.intake.segment import Segment
from aggregator.exceptions import JournalError
from aggregator.journal.directory import quarantine
from aggregator.journal.format import Corrupt
from aggregator.journal.lease import Lease
from aggregator.journal.opening import saying


def open_folder(folder: Path) -> tuple[Lease, list[Segment], Producers]:
    """Lease the folder, made if there is none, and read what is in it; one that cannot be trusted is set aside."""
    while True:
        with saying(f"cannot make {folder}"):
            folder.mkdir(mode=0o700, exist_ok=True)
        lease = Lease.take(folder, 0)
        if lease is None:
            raise JournalError(f"another process has the intake {folder}; one agent for each journal; nothing was done")
        producers = Producers()
        found: list[Segment] = []
        try:
            for number in sorted(_numbers(folder)):
                segment = Segment.open(folder / f"log-{number}", producers)
                found += [segment] if segment is not None else []
        except (Corrupt, Refusal, msgspec.MsgspecError, ValueError) as error:
            for each in found:
                each.close()
            quarantine(lease, str(error))
            continue
        except BaseException:
            lease.close()
            raise
        return lease, found, producers


def _numbers(folder: Path) -> Iterator[int]:
    for path in folder.iterdir():
        head, _, number = path.name.partition("-")
        if head == "log" and number.isdigit():
            yield int(number)
