"""The assets of a model."""
