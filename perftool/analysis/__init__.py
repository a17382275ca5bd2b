"""Pure functions over records: estimates, ties, limits, the choice. No I/O, no runtime."""
