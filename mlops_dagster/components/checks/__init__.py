"""Checks of a model's assets."""
