"""Quality measures of a classifier, with their uncertainty."""
