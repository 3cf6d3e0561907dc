"""The suite of expectations: default, edited as JSON, and which of them apply."""
