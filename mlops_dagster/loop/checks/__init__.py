"""What `dg check defs` says of a model beyond its YAML."""
