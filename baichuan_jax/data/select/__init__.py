"""What of the good text becomes the dataset: decontamination, caps, split."""
