"""The file of channels, and which of them are told of an alert."""
