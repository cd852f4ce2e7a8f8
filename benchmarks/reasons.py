"""
Why a row misses its figure, found by profiling; printed below the table when the row of that name misses.

Rules that live here: a reason names what takes the time, how much, and what would change it.
"""

from __future__ import annotations

_GC = (
    "`Stream` keeps every settled chunk, so a flush of 100,000 rows leaves some 200,000 tuples to the collector, whose "
    "full passes hold the interpreter for 20 ms each; letting go of a chunk when it is settled ends that"
)

REASONS: dict[str, str] = {
    "increment.construct": (
        "more than half of the time is pydantic's construction (630 of 1,040 ns); of the rest, 40 ns are checks that the "
        "commonest call (one column, by 1) does not need, and 35 ns the count of calls"
    ),
    "increment.bound": (
        "of 310 ns, 35 count the call and 40 go into checks that the commonest call (one column, by 1) does not need"
    ),
    "threads.construct": "as increment.construct: nothing is waited for, the call itself is as long",
    "threads.bound": "as increment.bound: nothing is waited for, the call itself is as long",
    "keys.uniform": (
        "the caches of the processor: the look-up in a bare dict with such keys goes from 51 to 877 ns between 1,000 "
        "and 1,000,000 keys (its index, the entry and the text of the key are a miss each), and dict[str, list] from "
        "70 to 1,125 ns; of some 1,000 ns more per increment, 830 are that look-up. Traffic of pages is not uniform: "
        "see the row of Zipf draws"
    ),
    "memory.highest": (
        "`Stream._owners` refers to every chunk taken until the flush ends, about 200 bytes a row; letting go of a "
        "chunk when it is settled was tried: 1.06"
    ),
    "latency.paced": _GC,
    "latency_acsylla.paced": _GC + "; the rest is the interpreter's switch interval of 5 ms",
    "sqlite.quiet": (
        "the buffer's share: of 170 ms of processor time for 50,000 rows (the peer: 66) the driver has 45, the sketch "
        "of the hottest rows 52, the generators from chunk to driver and the settling of single rows 45, the take 17; "
        "by whole columns the buffer's 125 were 27"
    ),
    "acsylla.100": (
        "the client's processor time per row, on cores shared with the server: 16.4 us by hand, 18.4 through the "
        "driver, 23.5 with the buffer, of which the sketch of the hottest rows and single-row settling are 3"
    ),
    "acsylla.default": "as acsylla.100: both sides have 16 in flight, and the loop wakes for few answers at a time",
    "cassandra.100": "both sides spend their time in the client's own event loop; the ratio is 1.0 within its spread",
}
