"""Pages and profiles for people. Pages decide nothing."""
