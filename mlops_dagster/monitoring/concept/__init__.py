"""Concept drift: the champion's answers against its evaluation."""
