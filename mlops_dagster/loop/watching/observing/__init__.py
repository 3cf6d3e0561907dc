"""Observations: the numbers of each rule, from rollups and reports."""
