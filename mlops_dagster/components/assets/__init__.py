"""Assets of a model."""
