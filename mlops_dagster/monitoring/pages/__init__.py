"""Pages and profiles for people to read; no decision depends on them."""
