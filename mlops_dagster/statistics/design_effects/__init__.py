"""Design effects: the number of rows that are worth one independent row."""
