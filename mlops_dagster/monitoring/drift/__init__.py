"""Drift of inputs, scores and labels against the baseline."""
