"""Market data of a venue: supervised sockets, readers, order books, raw frames."""
