"""Sensors, each over all models of a code location."""
