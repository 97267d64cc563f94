"""Encodings of text: labels, decoding of damaged bytes, detection."""
