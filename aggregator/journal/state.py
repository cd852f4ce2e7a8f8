"""
The places of a slot's ``state`` array.

Rules that live here: each is one int64, stored at once; a place that an older version did not know holds 0. The array
is synced after all others, so that what it says of them is so.
"""

from __future__ import annotations

STATE = "state"
STATE_SLOTS = 512

APPLIED = 0  # the last record whose part in the arrays is stored
STAMP = 1  # the last timestamp given out, us
CLEAN = 2  # whether all was written and nothing set apart
EXPECTED = 3  # the sum of large deltas, which were announced one by one
SYNCED = 4  # whether the owner synced what it did
DURABLE = 5  # APPLIED as it was when the last sync began: the arrays follow the log up to there, power loss or not
OLD_STAMP = 6  # the last timestamp in a journal that may be old: own rows written later were not known to it
