"""Batched log-likelihoods of continuations."""
