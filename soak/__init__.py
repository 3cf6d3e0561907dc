"""Attacks on the whole product that run longer than a test may.

Each module without a leading underscore is one attack: `attack(seconds: float) -> None` tries for about that long,
prints one line for each kind of thing it tried ("1,204 manifests: 1,180 refused, 24 taken"), and raises on a fault.
`python -m soak` runs them all. An attack makes its own homes, servers and databases, and ends them.
"""
