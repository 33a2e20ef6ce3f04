"""Market data on disk, in columns: what was the market at any moment?"""
