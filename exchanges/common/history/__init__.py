"""The exchanges' own history files: found, fetched, read."""
