"""The definitions of this code location: resources, the hourly job of the fleet, and a folder for each model."""
