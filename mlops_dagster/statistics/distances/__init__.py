"""Distances between two distributions, and their tests."""
