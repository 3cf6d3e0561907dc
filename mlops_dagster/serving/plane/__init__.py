"""The path of a request: routing, batching, scoring, and the scoring of its copies by shadows."""
