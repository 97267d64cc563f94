"""Training input: a mixture of domains as a pure function of (seed, step), read by grain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import grain
import jax
import jax.numpy as jnp
import numpy as np

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.mixing import Change, MixtureSampler
from baichuan_jax.model.execution import Batch
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.tokenizer.packing import PackedDocuments, PackedRow
from baichuan_jax.tokenizer.shards import Piece, TokenStore, Windows
from baichuan_jax.train.config import MixConfig, TrainConfig


class AnyBatches(Protocol):
    """What the train loop asks of its input, which is a pure function of the step.

    domains: names that `Batch.domains` counts from 0. rows: which of a step's sequences are read here.
    """

    domains: tuple[str, ...]
    rows: list[int]

    @property
    def packing(self) -> bool:
        """Whether batches have segments, positions and weights."""

    def reject(self, draws: Iterable[int]) -> None:
        """Go on without these batches of the whole sequence, by their places in it; those after them come earlier."""

    def draw(self, step: int) -> int:
        """Return the place of a step's batch in the whole sequence."""

    def __getitem__(self, step: int) -> Batch:
        """Return the batch of a step as numpy arrays."""


class Batches:
    """Random access to the batch of any step: `batches[step]` is a `Batch` of numpy arrays.

    domains: names of the domains that have training text, which `Batch.domains` counts from 0. rows: which of a step's
    sequences are read here; all, if not given.
    """

    def __init__(self, cfg: TrainConfig, mix: MixConfig, store: TokenStore, rows: Sequence[int] | None = None):
        source = PackedDocuments if mix.packing else Windows
        self._sources = [source(store, domain, "train", cfg.length) for domain in store.domains]
        self.domains = store.domains
        sizes = dict(zip(self.domains, map(len, self._sources)))
        if not any(sizes.values()):
            raise UserError(
                f"no domain has a training sequence of TrainConfig.length = {cfg.length} tokens; lower it or add text"
            )
        self._cfg, self._mix, self._sizes = cfg, mix, sizes
        self.rows = list(range(cfg.batch) if rows is None else rows)
        self._rejected: list[int] = []
        self.follow([])

    def follow(self, mixtures: Sequence[tuple[int, dict[str, float]]]) -> None:
        """Have the configured weights follow earlier ones: (steps done when they ended, weights), in order."""
        first, *later = [self._per_sequence(weights) for weights in (*(old for _, old in mixtures), self._mix.weights)]
        changes = [Change(end, weights) for (end, _), weights in zip(mixtures, later)]
        for tokens, weights in self._mix.changes:
            step = self._step(tokens)
            changes.append(Change(step, self._per_sequence(weights), self._step(tokens + self._mix.ramp) - step))
        changes.sort(key=lambda change: change.step)
        self._sampler = MixtureSampler(
            first, self._sizes, self._cfg.seed, self._cfg.batch, changes, self._mix.max_epochs
        )
        self._check_length()

    def reject(self, draws: Iterable[int]) -> None:
        """Go on without these batches of the whole sequence, by their places in it; those after them come earlier."""
        self._rejected = sorted(draws)
        self._check_length()

    def draw(self, step: int) -> int:
        """Return the place of a step's batch in the whole sequence."""
        for rejected in self._rejected:
            step += rejected <= step
        return step

    @property
    def packing(self) -> bool:
        """Whether sequences are packed documents."""
        return self._mix.packing

    def _step(self, tokens: int) -> int:
        """Return the first step that is after so many tokens of training."""
        return -(-tokens // (self._cfg.batch * self._cfg.length))

    def _per_sequence(self, weights: dict[str, float]) -> dict[str, float]:
        """Return weights of sequences that give the tokens of each domain its weight: packed ones are not full."""
        if not weights:
            return self._sizes
        if not self._mix.packing:
            return weights
        fill = {name: source.tokens / max(1, len(source)) for name, source in zip(self.domains, self._sources)}
        return {name: weight / (fill.get(name) or 1.0) for name, weight in weights.items()}

    def _check_length(self) -> None:
        asked, held = self.draw(self._cfg.steps) * self._cfg.batch, self._sampler.length
        if held is not None and held < asked:
            raise UserError(
                f"MixConfig.max_epochs = {self._mix.max_epochs:g} leaves {held:,} sequences, and TrainConfig.steps * "
                f"batch asks for {asked:,}: raise max_epochs, lower steps, or add text"
            )

    def notes(self) -> Iterator[str]:
        """Yield what a user should know before training: the padding, and which domains will be exhausted when."""
        if self._mix.packing:
            sequences, tokens = sum(map(len, self._sources)), sum(source.tokens for source in self._sources)
            yield f"packing: {1 - tokens / (sequences * self._cfg.length):.2%} of the positions are padding"
        for draw, name in self._sampler.capped:
            step, times = draw // self._cfg.batch, f"{self._mix.max_epochs:g}"
            if step < self._cfg.steps:
                yield f"mixture: {name} has been read {times} times after step {step}; its share goes to the others"

    def origins(self, step: int) -> list[tuple[str, list[Piece]]]:
        """Return the domain of each sequence of a step, and the ids of its shards that it is made of."""
        drawn = zip(*(each[self.rows].tolist() for each in self._sampler[self.draw(step)]))
        return [(self.domains[domain], self._sources[domain].pieces(number)) for domain, number in drawn]

    def __getitem__(self, step: int) -> Batch:
        domains, numbers = (drawn[self.rows] for drawn in self._sampler[self.draw(step)])
        rows = [self._sources[domain][number] for domain, number in zip(domains.tolist(), numbers.tolist())]
        named = {"domains": domains.astype(np.int32)}
        if self._mix.packing:
            return Batch(**{name: np.stack(arrays) for name, arrays in zip(PackedRow._fields, zip(*rows))}, **named)
        windows = np.stack(rows)
        return Batch(windows[:, :-1], windows[:, 1:], **named)


def iterate(cfg: TrainConfig, batches: AnyBatches) -> grain.DatasetIterator:
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


def abstract_batch(batch: int, length: int, packing: bool = False, weighed: bool = False) -> Batch:
    """Return the batch that the train step takes, as `jax.ShapeDtypeStruct`. weighed: with weights of the targets."""
    tokens, domains = jax.ShapeDtypeStruct((batch, length), jnp.int32), jax.ShapeDtypeStruct((batch,), jnp.int32)
    weights = jax.ShapeDtypeStruct((batch, length), jnp.float32) if packing or weighed else None
    places = tokens if packing else None
    return Batch(tokens, tokens, weights, places, places, domains)
