"""
Benchmarks: one file per question of ``README.md``, answered as ratios to a named peer; run by ``python -m benchmarks``.

Rules that live here:

* A question is a module with ``measure(quick) -> list[Row]``; it runs in a process of its own.
* Both sides are measured in one run, in turns, on the same keys; timings are printed and never asserted.
"""
