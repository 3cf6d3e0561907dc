"""Drift of inputs, scores and labels from the baseline."""
