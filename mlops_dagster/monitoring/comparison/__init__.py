"""Comparison of any two versions or windows of a model."""
