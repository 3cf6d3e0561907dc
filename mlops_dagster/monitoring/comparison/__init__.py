"""Comparison of any two versions or windows."""
