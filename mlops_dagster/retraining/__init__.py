"""When to retrain, and how a candidate comes about. What comes out is only ever a challenger."""
