"""Say where a model comes from: built, fetched or read from a file, and what it costs."""
