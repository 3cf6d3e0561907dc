"""Counting of entries: the tally of some entries, and its addition to the tables."""
