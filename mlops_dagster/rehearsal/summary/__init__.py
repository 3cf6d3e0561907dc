"""The summary of a rehearsal."""
