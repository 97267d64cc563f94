"""Batches of conversations as a pure function of (seed, step), and those of the held-out ones.

T positions; a sample of n ids takes n - 1 of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.mixing import MixtureSampler
from baichuan_jax.model.execution import Batch
from baichuan_jax.tokenizer.packing import PackedRow, pack
from baichuan_jax.tune.samples import Samples


class SampleRows:
    """Samples of one source in sequences of T tokens: `rows[number]` is a `PackedRow`, whose weights are 1 in the loss.

    Every target of a sample is in exactly one sequence.
    """

    def __init__(self, samples: Samples, numbers: np.ndarray, length: int, packing: bool):
        """numbers: of the samples. packing: whether a sequence has several."""
        self._samples, self._length = samples, length
        sizes = samples.lengths[numbers] - 1
        rows = pack(sizes, length) if packing else np.arange(len(numbers))
        self._numbers = numbers[np.argsort(rows, kind="stable")]
        self._first = np.searchsorted(np.sort(rows), np.arange(rows.max(initial=-1) + 2))
        self.tokens = int(sizes.sum())

    def __len__(self) -> int:
        return len(self._first) - 1

    def numbers(self, row: int) -> np.ndarray:
        """Return the samples that a sequence has."""
        return self._numbers[self._first[row] : self._first[row + 1]]

    def __getitem__(self, row: int) -> PackedRow:
        filled, at = empty_row(self._length), 0
        for segment, number in enumerate(self.numbers(row), 1):
            ids, mask = self._samples[number]
            part = slice(at, at + len(ids) - 1)
            filled.tokens[part], filled.targets[part], filled.weights[part] = ids[:-1], ids[1:], mask[1:]
            filled.segments[part], filled.positions[part] = segment, np.arange(len(ids) - 1)
            at = part.stop
        return filled


def empty_row(length: int) -> PackedRow:
    """Return a sequence of padding."""
    tokens, targets, segments, positions = np.zeros((4, length), np.int32)
    return PackedRow(tokens, targets, np.zeros(length, np.float32), segments, positions)


class SampleBatches:
    """Random access to the batch of any step of tuning: `batches[step]` is a `Batch` of numpy arrays.

    domains: the sources, which `Batch.domains` counts from 0. rows: which of a step's sequences are read here. An epoch
    has every sequence of a source once, each epoch in an order of its own.
    """

    packing = True  # batches have segments, positions and weights, also with one sample in each sequence

    def __init__(
        self,
        samples: Samples,
        batch: int,
        length: int,
        seed: int,
        *,
        packing: bool = True,
        weights: Mapping[str, float] | None = None,
        rows: Sequence[int] | None = None,
    ):
        """packing: whether sequences have several samples. weights: source -> share of the tokens; None: its own.

        rows: all of a step, if not given. Raise UserError if nothing is left to train on.
        """
        self.domains = samples.names
        numbers = [_of_source(samples, source, held_out=False) for source in range(len(self.domains))]
        self._sources = [SampleRows(samples, each, length, packing) for each in numbers]
        self._length, self._batch = length, batch
        sizes = dict(zip(self.domains, map(len, self._sources)))
        if not any(sizes.values()):
            raise UserError("every conversation is held out: lower InstructionConfig.held_out, or add conversations")
        self.rows = list(range(batch) if rows is None else rows)
        self._sampler = MixtureSampler(self._per_sequence(weights) if weights else sizes, sizes, seed, batch)
        self._rejected: list[int] = []

    def reject(self, draws: Iterable[int]) -> None:
        """Go on without these batches of the whole sequence, by their places in it; those after them come earlier."""
        self._rejected = sorted(draws)

    def draw(self, step: int) -> int:
        """Return the place of a step's batch in the whole sequence."""
        for rejected in self._rejected:
            step += rejected <= step
        return step

    @property
    def epoch(self) -> float:
        """Return the steps in which as many sequences are read as there are."""
        return sum(map(len, self._sources)) / self._batch

    def notes(self) -> Iterator[str]:
        """Yield what a user should know before training: samples, sequences, padding, and the steps of an epoch."""
        sequences, tokens = sum(map(len, self._sources)), sum(source.tokens for source in self._sources)
        padding = 1 - tokens / (sequences * self._length)
        yield f"{sequences:,} sequences, {padding:.1%} of the positions are padding; an epoch is {self.epoch:.1f} steps"

    def _per_sequence(self, weights: Mapping[str, float]) -> dict[str, float]:
        """Return weights of sequences that give the tokens of each source its weight."""
        fill = {name: source.tokens / max(1, len(source)) for name, source in zip(self.domains, self._sources)}
        return {name: weight / (fill[name] or 1.0) for name, weight in weights.items()}

    def __getitem__(self, step: int) -> Batch:
        domains, numbers = (drawn[self.rows] for drawn in self._sampler[self.draw(step)])
        rows = [self._sources[domain][number] for domain, number in zip(domains.tolist(), numbers.tolist())]
        return _stacked(rows, domains)


def held_out_batches(
    samples: Samples, batch: int, length: int, *, packing: bool = True, rows: Sequence[int] | None = None
) -> Iterator[Batch]:
    """Yield batches that have every held-out sample exactly once; the last is filled up with padding.

    rows: which sequences of a batch are read here; all, if not given.
    """
    numbers = [_of_source(samples, source, held_out=True) for source in range(len(samples.names))]
    sources = [SampleRows(samples, each, length, packing) for each in numbers]
    places = [(domain, row) for domain, source in enumerate(sources) for row in range(len(source))]
    for first in range(0, len(places), batch):
        here = places[first : first + batch]
        filled = [sources[domain][row] for domain, row in here] + [empty_row(length)] * (batch - len(here))
        domains = np.array([domain for domain, _ in here] + [0] * (batch - len(here)))
        chosen = list(range(batch) if rows is None else rows)
        yield _stacked([filled[row] for row in chosen], domains[chosen])


def _of_source(samples: Samples, source: int, held_out: bool) -> np.ndarray:
    """Return the numbers of the samples of a source that are trained on, or held out."""
    return np.flatnonzero((samples.sources == source) & (samples.held_out == held_out))


def _stacked(rows: Sequence[PackedRow], domains: np.ndarray) -> Batch:
    arrays = {name: np.stack(arrays) for name, arrays in zip(PackedRow._fields, zip(*rows))}
    return Batch(**arrays, domains=domains.astype(np.int32))
