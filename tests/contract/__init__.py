"""One suite for every driver, on both faces."""
