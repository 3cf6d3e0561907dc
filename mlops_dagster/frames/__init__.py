"""Frames of rows, with one rule for each kind of column and value."""
