"""Releases of a team's own CI, good and bad."""
