"""Jobs of a model."""
