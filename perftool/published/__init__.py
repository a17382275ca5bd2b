"""Models that are published: what is known of them, and how their weights are fetched. Runtime-free."""
