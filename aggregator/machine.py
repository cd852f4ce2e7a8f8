"""
What one started aggregator is made of, put together in one place: buffer, engine, flusher thread and intake.

Rules that live here: this is where the real clock, chance, lock and memory are handed to the parts that have none. A
machine is made at ``start()`` and made anew after a fork; it is never taken apart.
"""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING, Any

from aggregator.core.buffer import Buffer
from aggregator.flusher.background import Background
from aggregator.flusher.engine import Engine
from aggregator.intake import Intake
from aggregator.memory import anonymous
from aggregator.waiting import Waiting

if TYPE_CHECKING:
    from aggregator.config import Options


class Machine:
    """The parts of a running aggregator."""

    def __init__(self, options: Options) -> None:
        lock: Any = threading.RLock()
        self.clock = time.monotonic
        self.buffer = Buffer(options.max_keys, lock, lock._is_owned, anonymous)
        self.engine = Engine(self.buffer, options, self.clock, random.random)
        self.background = Background(self.engine, self.clock, random.random)
        self.waiting = Waiting(self.buffer, self.engine, self.background, self.clock)
        self.intake = Intake(self.buffer, options, self.waiting.write_through, self.waiting.find_room)
        self.buffer.batch = options.max_batch_size
        self.buffer.on_batch = self.background.wake
