"""Where text comes from: files, demo corpora, tensorflow-datasets."""
