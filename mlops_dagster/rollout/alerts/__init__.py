"""Alerts of rollouts."""
