"""Rollouts and their decisions in the database of the registry."""
