"""The control room: one snapshot of everything that people on call look at."""
