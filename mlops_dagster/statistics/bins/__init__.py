"""Bins, counts in bins, and histograms."""
