"""
Programs that mypy and pyright read as a user's: they hold what the annotations promise.

Rules that live here: each line that must not be accepted is silenced by name, and both checkers are told to report a
silence that silences nothing.
"""
