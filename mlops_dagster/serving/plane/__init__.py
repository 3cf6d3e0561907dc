"""The path of a request: routing, batching, scoring, and the shadows beside it."""
