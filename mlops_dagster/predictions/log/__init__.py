"""The prediction log: Delta Lake tables in a folder or a bucket."""
