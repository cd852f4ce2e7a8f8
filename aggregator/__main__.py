"""``python -m aggregator``: the command line."""

from __future__ import annotations

from aggregator.cli import main

main()
