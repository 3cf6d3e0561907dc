"""Delta Lake tables: reads, writes, commits and upkeep."""
