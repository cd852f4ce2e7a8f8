"""
Why a row misses its figure, found by profiling; printed below the table when the row of that name misses.

Rules that live here: a reason names what takes the time, how much, and what would change it.
"""

from __future__ import annotations

_SWITCH = (
    "a thread that comes back from sleep waits for the interpreter's switch interval of 5 ms whenever the flusher is "
    "inside Python code, and longer where a full pass of the collector (15 ms) or another program's turn on the cores "
    "falls into it: idle, the same writer has its p99 beside the figure"
)

_COLD = (
    "a get costs 4.2 us of Python where nothing else runs, and 25 and more after a wait for the server, which had the "
    "core: code and data are fetched from memory anew"
)

_SERVED = (
    "a request takes 180 to 240 us of one core, and counting adds 14 to 18: about half is the flush, which the 500 "
    "rows of max_batch_size make due several times a second here (with max_batch_size=100000 short rounds had 0.96 "
    "instead of 0.90), the rest the middleware and the increment, whose code is fetched from memory anew each time"
)

REASONS: dict[str, str] = {
    "increment.construct": (
        "pydantic's construction takes 650 of 1,050 ns and the call 280, 35 of them for counting the call; with that "
        "count derived from the units, or with the validator bound in a compiled `__init__`, it was 0.87"
    ),
    "increment.bound": "of 285 ns, 35 count the call, 35 look up the method on the instance and 25 its key",
    "threads.construct": "as increment.construct: nothing is waited for, the call itself is as long",
    "threads.bound": "as increment.bound: nothing is waited for, the call itself is as long",
    "keys.uniform": (
        "the caches of the processor: the look-up in a bare dict with such keys goes from 51 to 877 ns between 1,000 "
        "and 1,000,000 keys (its index, the entry and the text of the key are a miss each), and dict[str, list] from "
        "70 to 1,125 ns; of some 1,000 ns more per increment, 830 are that look-up. Traffic of pages is not uniform: "
        "see the row of Zipf draws"
    ),
    "latency.paced": _SWITCH,
    "latency_acsylla.paced": _SWITCH,
    "acsylla.100": (
        "the client's processor time per row, on cores shared with the server: 16.4 us by hand, 18.4 through the "
        "driver, 20.7 with the buffer; a run's ratio moves by 0.15 with the server's own work"
    ),
    "acsylla.default": "as acsylla.100: both sides have 16 in flight, and the loop wakes for few answers at a time",
    "read.articles.bare": f"{_COLD}; with a busy machine the rate of bare acsylla itself moves by a factor of two",
    "read.articles.existing": (
        "the existing library's rate is 0.35 to 0.4 of bare acsylla's on these two cores: 2.5 times that would be bare "
        "acsylla itself"
    ),
    "read_sync.articles.get": f"{_COLD}; a bare request takes 610 us, 330 of them the client's own processor time",
    "serving.fastapi": _SERVED,
    "serving.flask": _SERVED,
    "cassandra.100": "both sides spend their time in the client's own event loop; the ratio is 1.0 within its spread",
}
