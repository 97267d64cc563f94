"""Text in, text out: sources, normalisation, rules, the cleaned dataset, mixing. Never imports jax."""
