"""The whole Baichuan-7B recipe in JAX, from raw bilingual text to a trained, evaluated decoder."""

__version__ = "0.1.0"
