"""Published weights both ways: Hugging Face checkpoints to ours, and ours to theirs, a block of rows at a time."""
