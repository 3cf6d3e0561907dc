"""Champion and challenger on the same labelled rows."""
