"""Which Crypto Pipe this is; stands on every run."""

VERSION = "0.1.0"
