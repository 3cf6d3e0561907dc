"""E-values: evidence that stays valid however often it is computed."""
