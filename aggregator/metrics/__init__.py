"""The figures of an aggregator for Prometheus and OpenTelemetry, one file each, from one table of names."""
