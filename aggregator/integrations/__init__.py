"""Middlewares that tie an aggregator to a web framework; each module imports its framework alone."""
