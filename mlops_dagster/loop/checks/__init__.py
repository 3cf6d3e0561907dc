"""Checks of a model beyond its YAML, as `dg check defs` makes them."""
