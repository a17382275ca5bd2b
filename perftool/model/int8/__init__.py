"""Quantizing to INT8, and what it does to each layer. In a child process only."""
