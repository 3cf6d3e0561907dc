"""Releases of a team's CI, good and bad."""
