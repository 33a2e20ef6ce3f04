"""API keys out of the keyring, a file or the environment."""
