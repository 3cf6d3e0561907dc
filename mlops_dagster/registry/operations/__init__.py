"""The operations of the registry, by subject."""
