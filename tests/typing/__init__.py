"""Programs that mypy reads as a user's: they hold what the annotations promise."""
