"""Bits per byte of held-out text, which are comparable across tokenizers.

B windows, T positions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

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


class Bits(NamedTuple):
    """Sums of -log2 p over targets, float64: of all windows at each position, [T], and of each window, [B]."""

    by_position: np.ndarray
    by_window: np.ndarray


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

        def score(params: Params, tokens: jax.Array, counted_BT: jax.Array) -> tuple[jax.Array, jax.Array]:
            nll_BT = token_nll(apply(model_cfg, params, Batch(tokens[:, :-1]), exe), tokens[:, 1:])
            nll_BT = jnp.where(counted_BT, nll_BT, 0)
            return jnp.sum(nll_BT, axis=0), jnp.sum(nll_BT, axis=1)

        self._score = jax.jit(score, out_shardings=exe.layout.replicated)

    def __call__(self, params: Params) -> dict[str, float]:
        """Return bits per byte of every domain."""
        found = self.bits(params)
        return {domain: float(bits.by_position.sum()) / self.bytes(domain) for domain, bits in found.items()}

    def bytes(self, domain: str) -> int:
        """UTF-8 bytes of the scored text of a domain."""
        return int(self.bytes_at(domain).sum())

    def bytes_at(self, domain: str) -> np.ndarray:
        """UTF-8 bytes of the targets at each position of the windows of a domain, [T]."""
        return self._bytes(domain).sum(axis=0)

    def bytes_of_windows(self, domain: str) -> np.ndarray:
        """UTF-8 bytes of the targets of each window of a domain, [B]."""
        return self._bytes(domain).sum(axis=1)

    def _bytes(self, domain: str) -> np.ndarray:
        text = self._domains[domain]
        return np.where(text.counted, self._byte_lengths[text.tokens[:, 1:]], 0)

    def bits(self, params: Params) -> dict[str, Bits]:
        """Return the bits of the targets of every domain."""
        return {domain: self._bits(params, text) for domain, text in self._domains.items()}

    def _bits(self, params: Params, text: HeldOut) -> Bits:
        sums = []
        for start in range(0, len(text.tokens), self._batch):
            rows = slice(start, start + self._batch)
            sums.append(self._score(params, self._place(text.tokens[rows]), self._place(text.counted[rows])))
        nats_T, nats_B = zip(*jax.device_get(sums))
        by_window = np.concatenate(nats_B).astype(np.float64)[: len(text.tokens)]
        return Bits(np.sum(nats_T, axis=0, dtype=np.float64) / math.log(2), by_window / math.log(2))

    def _place(self, rows: np.ndarray) -> jax.Array:
        """Pad to a full batch with uncounted zeros, and shard it over the devices."""
        full = np.zeros((self._batch, *rows.shape[1:]), rows.dtype)
        full[: len(rows)] = rows
        sharding = self._layout.sharding(("batch", "length"))
        return jax.make_array_from_callback(full.shape, sharding, lambda index: full[index])
