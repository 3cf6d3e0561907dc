"""The macro-F1 floor of a champion."""
