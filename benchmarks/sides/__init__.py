"""
Programs that run in a process of their own, with this mapper or with the peer of the same name.

Rules that live here: a side imports the standard library, the mapper's public names and their clients, nothing of the
benchmarks; it answers each line it reads with one line of JSON. See ``benchmarks.support.process``.
"""
