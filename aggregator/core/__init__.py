"""
The pure core of the aggregator: what is held, what is due, what an outcome does to it.

Rules that live here: no clock, no thread, no socket, no randomness of its own. Lock, time and chance are handed in.
"""
