"""Text to ids and back: SentencePiece training, lossless encoding, token shards. Never imports jax."""
