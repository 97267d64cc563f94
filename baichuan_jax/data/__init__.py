"""Text in, text out: sources, rules, quality, de-duplication, the cleaned dataset, mixing. Never imports jax."""
