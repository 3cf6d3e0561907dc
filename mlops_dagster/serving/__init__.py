"""The data plane: answers requests, splits them between arms, shadows them, and logs every answer before it is sent."""
