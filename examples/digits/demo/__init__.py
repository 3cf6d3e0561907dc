"""What `live.py` is made of: the traffic, the servers, a bad release, and the eyes that follow it all."""
