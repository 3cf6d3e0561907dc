"""Metrics and traces of the data plane."""
