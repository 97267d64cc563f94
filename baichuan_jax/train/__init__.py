"""Input, optimizer, step, checkpoints and the train loop."""
