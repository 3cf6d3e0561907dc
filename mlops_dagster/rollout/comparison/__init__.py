"""Comparison of champion and challenger on the same labelled rows."""
