"""The entities of the registry, and the pure functions that change them."""
