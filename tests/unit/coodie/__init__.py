"""The mapper: plans without a driver, and the faces on the embedded store."""
