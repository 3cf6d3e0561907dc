"""Views of reports and comparisons in Dagster's UI."""
