"""Recorded traffic: requests, labels and the client that sends them."""
