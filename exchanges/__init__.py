"""One folder per venue; they do not know one another."""
