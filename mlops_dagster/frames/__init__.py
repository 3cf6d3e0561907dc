"""Frames of rows: each kind of column and of value by one rule."""
