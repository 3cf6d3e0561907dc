"""The floor of a champion's headline measure, such as macro-F1."""
