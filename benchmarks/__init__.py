"""What perftool promises about speed, measured side by side. Run by `make bench`."""
