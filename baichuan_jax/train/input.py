"""Training input: a fixed mixture of domains as a pure function of (seed, step), read by grain."""

from __future__ import annotations

from collections.abc import Sequence

import grain
import jax
import jax.numpy as jnp
import numpy as np

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.mixing import MixtureSampler
from baichuan_jax.model.execution import Batch
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.tokenizer.shards import TokenStore, Windows
from baichuan_jax.train.config import MixConfig, TrainConfig


class Batches:
    """Random access to the batch of any step: `batches[step]` is a `Batch` of numpy arrays.

    domains: names of the domains that have training text, which `Batch.domains` counts from 0. rows: which of a step's
    sequences are read here; all, if not given.
    """

    def __init__(self, cfg: TrainConfig, mix: MixConfig, store: TokenStore, rows: Sequence[int] | None = None):
        self._windows = {domain: Windows(store, domain, "train", cfg.length) for domain in store.domains}
        sizes = {domain: len(windows) for domain, windows in self._windows.items()}
        self.domains = tuple(self._windows)
        if not any(sizes.values()):
            raise UserError(
                f"no domain has a training sequence of TrainConfig.length = {cfg.length} tokens; lower it or add text"
            )
        self._samplers = [MixtureSampler(mix.weights or sizes, sizes, cfg.seed)]
        self._sizes, self._seed, self._weights = sizes, cfg.seed, mix.weights
        self._batch = cfg.batch
        self._rows = range(cfg.batch) if rows is None else rows

    def follow(self, mixtures: Sequence[tuple[int, dict[str, float]]]) -> None:
        """Have the configured weights follow earlier ones: (steps done when they ended, weights), in order."""
        weights = [each or self._sizes for each in (*(before for _, before in mixtures), self._weights)]
        self._samplers = [MixtureSampler(weights[0], self._sizes, self._seed)]
        for (end, _), new in zip(mixtures, weights[1:]):
            self._samplers.append(self._samplers[-1].then(new, end * self._batch))

    def __getitem__(self, step: int) -> Batch:
        first = step * self._batch
        sampler = next(each for each in reversed(self._samplers) if each.start <= first)
        draws = [sampler[first + row] for row in self._rows]
        windows = np.stack([self._windows[domain][window] for domain, window in draws])
        numbers = np.array([self.domains.index(domain) for domain, _ in draws], np.int32)
        return Batch(windows[:, :-1], windows[:, 1:], domains=numbers)


def iterate(cfg: TrainConfig, batches: Batches) -> grain.DatasetIterator:
    """Return an iterator over the steps that reads ahead in threads; its state is a small JSON value."""
    dataset = grain.MapDataset.range(0, cfg.steps).map(batches.__getitem__)
    return iter(dataset.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=4)))


def local_rows(layout: Layout, batch: int) -> list[int]:
    """Return which sequences of a step the devices of this process hold: its own, or what it shares with others."""
    held = layout.sharding(("batch",)).addressable_devices_indices_map((batch,))
    return sorted({row for (rows,) in held.values() for row in range(batch)[rows]})


def place(layout: Layout, rows: Batch) -> Batch:
    """Make the global batch from the rows that each process holds (`local_rows`); rows are whole."""
    sharding = layout.sharding(("batch",))
    return jax.tree.map(lambda x: jax.make_array_from_process_local_data(sharding, x), rows)


def abstract_batch(batch: int, length: int) -> Batch:
    """Return the batch that `Batches` gives the train step, as `jax.ShapeDtypeStruct`."""
    tokens = jax.ShapeDtypeStruct((batch, length), jnp.int32)
    return Batch(tokens, tokens, domains=jax.ShapeDtypeStruct((batch,), jnp.int32))
