"""Labels on their way to the replica that recorded their prediction."""
