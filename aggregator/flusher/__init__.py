"""
The flusher: what is due is taken from the buffer, written, and settled.

Rules that live here: one flush at a time; the engine is plain blocking code on a thread of its own (or, where no
thread can run, on the caller's), so there is one body for sync and async programs. See ``docs/decisions``.
"""
