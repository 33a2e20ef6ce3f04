"""Orders with paper money over `bot.matching`, for quotes from anywhere."""
