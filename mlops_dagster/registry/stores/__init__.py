"""The tables of the registry in a SQL database, and the statements that read and write them."""
