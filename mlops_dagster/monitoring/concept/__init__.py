"""Concept drift: tests of the champion's answers against its evaluation."""
