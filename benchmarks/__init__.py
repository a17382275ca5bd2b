"""What perftool promises, proved side by side: agreement, repeatability, honesty, cost. See `make bench`."""
