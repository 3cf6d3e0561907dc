"""Claims about a challenger, and the tests that prove them."""
