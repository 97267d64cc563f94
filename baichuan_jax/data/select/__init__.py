"""Selection of the dataset: decontamination, caps, split."""
