"""Two baselines for bits per byte: a unigram model and zstd."""

from __future__ import annotations

import math

import numpy as np
import pyarrow

from baichuan_jax.evaluate.heldout import HeldOut
from baichuan_jax.tokenizer.interface import AnyTokenizer
from baichuan_jax.tokenizer.shards import TokenStore


def unigram_bits(store: TokenStore, domain: str, text: HeldOut) -> float:
    """Return the bits under an add-one smoothed unigram model of the domain's own training tokens."""
    counts = np.ones(store.vocab)
    for ids in store.arrays(domain, "train"):
        counts += np.bincount(ids, minlength=store.vocab)
    bits = math.log2(counts.sum()) - np.log2(counts)
    return float(bits[text.targets()].sum())


def zstd_bits(tokenizer: AnyTokenizer, text: HeldOut) -> float:
    """Return the bits of the same text under zstd -19."""
    plain = tokenizer.decode(text.targets().tolist()).encode()
    return 8.0 * len(pyarrow.Codec("zstd", 19).compress(plain))
