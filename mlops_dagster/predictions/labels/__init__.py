"""Labels on their way to the replica and the prediction that they are for."""
