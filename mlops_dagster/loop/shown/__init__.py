"""Findings as named entries for people: texts, numbers and tables that a page or Dagster's UI shows."""
