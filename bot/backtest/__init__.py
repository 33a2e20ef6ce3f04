"""The same engine over columns: a tape of quotes on a virtual clock, and what may be taken from it in one go."""
