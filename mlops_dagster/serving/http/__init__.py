"""HTTP: the front door, its limits, tokens, and the routes."""
