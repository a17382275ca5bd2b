"""Inception v4 from its weights: the network as one table, its graphs, its checkpoints."""
