"""The loss on held-out responses.

B sequences, T positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import jax
import numpy as np

from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import Params, loss
from baichuan_jax.model.execution import Batch, Execution
from baichuan_jax.model.loss import Sums
from baichuan_jax.train.state import Adaptation


class ResponseLoss:
    """Score held-out conversations: nats per token of the responses, of each source."""

    def __init__(
        self,
        model_cfg: DecoderConfig,
        sources: Sequence[str],
        batches: Sequence[Batch],
        exe: Execution,
        adaptation: Adaptation | None = None,
    ):
        """batches: of [B, T] with weights of the targets, B a multiple of the devices that split it.

        adaptation: what is tuned in place of the model's parameters.
        """
        self._sources, self._batches, self._layout = sources, batches, exe.layout
        plan = replace(exe.by_rows, domains=len(sources))
        self._frozen = [adaptation.frozen] if adaptation else []

        def score(params: Params, batch: Batch, *frozen: Params) -> Sums:
            whole = adaptation.attach(*frozen, params, None) if adaptation else params
            return loss(model_cfg, whole, batch, plan)

        self._score = jax.jit(score, out_shardings=exe.layout.replicated)

    def __call__(self, params: Params) -> dict[str, float]:
        """Return the mean loss of each source that has held-out conversations; {} if none has."""
        if not self._batches:
            return {}
        sums = jax.device_get([self._score(params, self._place(batch), *self._frozen) for batch in self._batches])
        nll, count = (np.sum([getattr(each, name) for each in sums], axis=0, dtype=np.float64) for name in COUNTED)
        return {name: float(nll[at] / count[at]) for at, name in enumerate(self._sources) if count[at]}

    def _place(self, batch: Batch) -> Batch:
        """Shard a batch, which every process holds, over the devices."""
        sharding = self._layout.by_rows.sharding(("batch",))
        return jax.tree.map(lambda x: jax.make_array_from_callback(x.shape, sharding, lambda index: x[index]), batch)


COUNTED = ("domain_nll", "domain_count")
