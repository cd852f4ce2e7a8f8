"""
Whole histories in one thread, from a seed: processes, a journal's disk and a database that fail as real ones do.

Rules that live here: everything of the product is real but what ``patches`` exchanges: clock, chance, files, database.
"""
