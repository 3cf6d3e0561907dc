"""Retention of all stores: what may go by the models' policies, and its removal."""
