"""What this code location offers: resources, the hourly job of the fleet, and a folder for each model."""
