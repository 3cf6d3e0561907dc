"""Engines that run SQL statements over tables of the log: DuckDB in this process, or a Spark Connect server."""
