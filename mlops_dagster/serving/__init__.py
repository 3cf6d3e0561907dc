"""The data plane: serves, splits, shadows, and logs every answer before it is sent."""
