"""Bytes in a folder or a bucket: addresses, files, durability, permissions."""
