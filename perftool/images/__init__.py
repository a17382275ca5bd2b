"""Images: which ones, what they are, and how they become a model's input."""
