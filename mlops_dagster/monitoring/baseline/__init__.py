"""The baseline of a version: the counts of its training set, and what can be proven against it."""
