"""Files: found, opened and sent."""
