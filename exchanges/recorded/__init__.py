"""A market played from raw wire recordings, through the same decoders as a live one."""
