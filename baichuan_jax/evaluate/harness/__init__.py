"""lm-eval's tasks, and the recipe's own, with our models."""
