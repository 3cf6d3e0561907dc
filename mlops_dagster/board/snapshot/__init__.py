"""The snapshot: the content of the control room at one time, without any HTML."""
