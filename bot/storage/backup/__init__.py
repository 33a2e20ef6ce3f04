"""A data directory at another place: incremental, checked, and either whole or not there."""
