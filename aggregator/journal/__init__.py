"""
The journal's files: what increments leave on disk, so that they outlive their process.

Rules that live here: importing this package opens nothing; ``files`` is what the rest of the aggregator uses.
"""
