"""Bits per byte of held-out text, which are comparable across tokenizers.

B windows, T positions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from baichuan_jax.evaluate.heldout import HeldOut
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import Params, apply
from baichuan_jax.model.execution import Batch, Execution
from baichuan_jax.model.loss import token_nll


def by_position(bits_T: np.ndarray, bytes_T: np.ndarray) -> list[dict[str, float]]:
    """Return [{first, last, bits_per_byte}] for positions 1, 2-3, 4-7, 8-15 and so on: the value of more context.

    A last range of less than half its size is merged into the one before. A range whose targets have no bytes is
    omitted.
    """
    found, first = [], 1
    while first <= len(bits_T):
        last = 2 * first - 1 if len(bits_T) >= 3 * first - 1 else len(bits_T)
        part = slice(first - 1, last)
        if size := int(bytes_T[part].sum()):
            found.append({"first": first, "last": last, "bits_per_byte": float(bits_T[part].sum()) / size})
        first = last + 1
    return found


class BitsPerByte:
    """Score held-out windows of several domains: (sum of -log2 p over all targets) / (their UTF-8 bytes).

    `<s>` and `</s>` are targets of zero bytes, so document ends count.
    byte_lengths: UTF-8 bytes of each id. batch: windows at once, rounded up to a multiple of the mesh's batch shards.
    """

    def __init__(
        self,
        model_cfg: DecoderConfig,
        domains: Mapping[str, HeldOut],
        byte_lengths: np.ndarray,
        exe: Execution,
        batch: int,
    ):
        self._domains, self._byte_lengths, self._layout = domains, byte_lengths, exe.layout
        self._batch = math.ceil(batch / exe.layout.batch_shards) * exe.layout.batch_shards

        def score(params: Params, tokens: jax.Array, counted_BT: jax.Array) -> jax.Array:
            nll_BT = token_nll(apply(model_cfg, params, Batch(tokens[:, :-1]), exe), tokens[:, 1:])
            return jnp.sum(jnp.where(counted_BT, nll_BT, 0), axis=0)

        self._score = jax.jit(score, out_shardings=exe.layout.replicated)

    def __call__(self, params: Params) -> dict[str, float]:
        """Return bits per byte of every domain."""
        return {domain: float(bits_T.sum()) / self.bytes(domain) for domain, bits_T in self.bits(params).items()}

    def bytes(self, domain: str) -> int:
        """UTF-8 bytes of the scored text of a domain."""
        return int(self.bytes_at(domain).sum())

    def bytes_at(self, domain: str) -> np.ndarray:
        """UTF-8 bytes of the targets at each position of the windows of a domain, [T]."""
        text = self._domains[domain]
        return np.where(text.counted, self._byte_lengths[text.tokens[:, 1:]], 0).sum(axis=0)

    def bits(self, params: Params) -> dict[str, np.ndarray]:
        """Return the bits of the targets at each position of the windows of every domain, float64 [T]."""
        return {domain: self._bits(params, text) for domain, text in self._domains.items()}

    def _bits(self, params: Params, text: HeldOut) -> np.ndarray:
        sums = []
        for start in range(0, len(text.tokens), self._batch):
            rows = slice(start, start + self._batch)
            sums.append(self._score(params, self._place(text.tokens[rows]), self._place(text.counted[rows])))
        return np.sum([np.asarray(nats_T, np.float64) for nats_T in sums], axis=0) / math.log(2)

    def _place(self, rows: np.ndarray) -> jax.Array:
        """Pad to a full batch with uncounted zeros, and shard it over the devices."""
        full = np.zeros((self._batch, *rows.shape[1:]), rows.dtype)
        full[: len(rows)] = rows
        sharding = self._layout.sharding(("batch", "length"))
        return jax.make_array_from_callback(full.shape, sharding, lambda index: full[index])
