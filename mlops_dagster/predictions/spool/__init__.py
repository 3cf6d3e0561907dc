"""The spool: predictions and labels on disk before the answer is sent."""
