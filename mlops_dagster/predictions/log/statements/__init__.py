"""Statements over the log that an engine runs: labels and their predictions, counts of answers, latencies, places."""
