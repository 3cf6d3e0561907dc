"""Rollups: counts per minute of everything that was served."""
