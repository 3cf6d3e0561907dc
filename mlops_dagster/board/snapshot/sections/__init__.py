"""The sections of the control room, one file each: each makes its content of a view."""
