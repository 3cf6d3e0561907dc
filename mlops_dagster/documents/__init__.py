"""Documents that people write and stores keep: strict models, strict JSON, YAML, and rows read one by one."""
