"""The deployment in force: versions in memory, their guards, and the fuse."""
