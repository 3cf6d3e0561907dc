"""Commands that stand alone."""
