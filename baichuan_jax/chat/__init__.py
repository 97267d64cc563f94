"""Conversations to token ids: chat templates, the loss mask of training, and the prompt of generation."""
