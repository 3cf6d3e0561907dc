"""Retraining: its triggers, and the fitting of a candidate. A candidate can only become a challenger."""
