"""The rows of the registry in a SQL database."""
