"""Supervised fine-tuning: conversations to samples with loss masks, and training on them."""
