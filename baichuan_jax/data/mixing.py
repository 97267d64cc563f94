"""The domain and window of every sequence of every batch: a pure function of (seed, step)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.permutation import mix, permute

ONE = 2**48  # weights become integers that add up to it, so counts are exact at any draw
RAMP_SECTIONS = 1024  # sections that a linear change is cut into, at most
Weights = Mapping[str, float]


class Change(NamedTuple):
    """New weights from a step on. ramp: steps over which the shares move to them linearly; 0: at once."""

    step: int
    weights: Weights
    ramp: int = 0


class Section(NamedTuple):
    """Draws from `first` on, in which every domain has one share.

    drawn: of each domain, its draws before the section. order: domains with a share, the largest first. parts: of
    each, (offset, share, share of it and those after it in `order`), in units of 1 / ONE.
    """

    first: int
    drawn: list[int]
    order: list[int]
    parts: list[tuple[int, int, int]]

    def counts(self, draw: int) -> list[int]:
        """Return the draws of each domain before `draw`, which is not before the section.

        Each domain takes its rounded share of the draws that the ones before it left. So the counts add up to `draw`,
        and none decreases as `draw` grows; rounding each share alone would not guarantee that.
        """
        counts, left = self.drawn.copy(), draw - self.first
        for domain, (offset, share, rest) in zip(self.order, self.parts):
            rounded = (2 * left * share * ONE + (2 * offset + ONE) * rest) // (2 * ONE * rest)
            count = min(max(rounded, 0), left)
            counts[domain] += count
            left -= count
        return counts


class MixtureSampler:
    """An endless sequence of batches: `sampler[step]` is (domains, windows), int arrays [batch], for any step >= 0.

    weights: domain -> share of the draws, any scale. sizes: domain -> number of windows. changes: of the weights, in
    the order of their steps. max_epochs: limit of passes over a domain; its share then goes to the others, in
    proportion to theirs; 0: no limit. After n batches the draws of a domain differ from the sum of its shares by less
    than 1 + ln(domains) / 2, for any n. A domain visits each of its windows once per epoch, in an order that changes
    with the epoch.

    names: the domains that `domains` counts from 0. capped: [(draw, domain)] of those that reach `max_epochs`. length:
    draws until none is left to read, or None.
    """

    def __init__(
        self,
        weights: Weights,
        sizes: Mapping[str, int],
        seed: int,
        batch: int,
        changes: Sequence[Change] = (),
        max_epochs: float = 0.0,
    ):
        for each in (weights, *(change.weights for change in changes)):
            check_weights(each, sizes)
        self.names, self._batch = list(sizes), batch
        self._sizes = np.array(list(sizes.values()))
        self._salts = np.array([_hash(f"{seed} {name}") for name in self.names], np.uint64)
        self._order_salt = _hash(f"{seed}")
        self.capped: list[tuple[int, str]] = []
        self.length: int | None = None
        self._sections: list[Section] = []
        self._add_sections(_pieces(weights, changes), max_epochs)
        self._firsts = [section.first for section in self._sections]

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        if step < 0:
            raise IndexError(f"step {step}: the sequence starts at 0")
        first, last = step * self._batch, (step + 1) * self._batch
        before, after = np.array(self.counts(first)), np.array(self.counts(last))
        domains = np.repeat(np.arange(len(self.names)), after - before)
        draws = np.arange(self._batch) + (after - np.cumsum(after - before))[domains]  # number in the domain's draws
        epochs, positions = np.divmod(draws, self._sizes[domains])
        windows = permute(positions, mix(epochs.astype(np.uint64), self._salts[domains]), self._sizes[domains])
        # Shuffled within the batch, so that no host and no microbatch has a domain for itself.
        order = np.argsort(mix(np.arange(first, last, dtype=np.uint64), self._order_salt))
        return domains[order], windows[order]

    def counts(self, draw: int) -> list[int]:
        """Return the number of draws of each domain before `draw`."""
        if self.length is not None and draw > self.length:
            raise IndexError(f"draw {draw}: every domain has reached max_epochs after {self.length}")
        return self._sections[bisect_right(self._firsts, draw) - 1].counts(draw)

    def _add_sections(self, pieces: list[tuple[int, Weights]], max_epochs: float) -> None:
        limits = [int(max_epochs * size) if max_epochs else None for size in self._sizes.tolist()]
        drawn, quotas = [0] * len(self.names), [0] * len(self.names)
        stops = [step * self._batch for step, _ in pieces[1:]] + [None]
        first = 0
        for (_, weights), end in zip(pieces, stops):
            while first != end:
                room = [limit is None or count < limit for count, limit in zip(drawn, limits)]
                shares = _integer_shares([weights.get(name, 0.0) * free for name, free in zip(self.names, room)])
                if not shares:
                    self.length = first
                    return
                section = _section(first, drawn, quotas, shares)
                self._sections.append(section)
                full = [_draw_of(section, domain, limits[domain], end) for domain in shares]
                last = min([draw for draw in (*full, end) if draw is not None], default=None)
                if last is None:
                    return
                drawn = section.counts(last)
                self.capped += [(last, self.names[domain]) for domain in shares if drawn[domain] == limits[domain]]
                quotas = [quota + (last - first) * shares.get(k, 0) for k, quota in enumerate(quotas)]
                first = last


def check_weights(weights: Weights, sizes: Mapping[str, int]) -> None:
    """Raise UserError on an unknown domain, a weight below 0, a weight on an empty domain, or no weight above 0."""
    for domain, weight in weights.items():
        if domain not in sizes:
            raise UserError(f"mixture weight for {domain!r}: no such domain; the corpus has {', '.join(sizes)}")
        if not 0 <= weight < float("inf"):
            raise UserError(f"mixture weight {weight!r} for {domain!r}: expected a number >= 0")
        if weight > 0 and sizes[domain] == 0:
            raise UserError(
                f"mixture weight {weight!r} for {domain!r}: the domain has no whole window of tokens; "
                "set its weight to 0, shorten the windows, or add text"
            )
    if not any(weights.values()):
        raise UserError(f"mixture weights {dict(weights)!r}: expected at least one above 0")


def _pieces(weights: Weights, changes: Sequence[Change]) -> list[tuple[int, Weights]]:
    """Return [(first step, weights)] that stay as they are until the next.

    A linear change becomes a staircase; each of its stairs has the shares of its middle, so their sum is right at its
    end.
    """
    pieces: list[tuple[int, Weights]] = [(0, weights)]
    for step, target, ramp in changes:
        start, target = _shares([each for first, each in pieces if first <= step][-1]), _shares(target)
        pieces = [piece for piece in pieces if piece[0] < step]  # a change ends a ramp that is under way
        stairs = min(ramp, RAMP_SECTIONS)
        edges = [step + ramp * stair // max(1, stairs) for stair in range(stairs + 1)]
        for left, right in pairwise(edges):
            done = ((left + right) / 2 - step) / ramp
            between = {
                name: (1 - done) * start.get(name, 0.0) + done * target.get(name, 0.0) for name in start | target
            }
            pieces.append((left, between))
        pieces.append((edges[-1], target))
    return pieces


def _shares(weights: Weights) -> dict[str, float]:
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def _integer_shares(weights: Sequence[float]) -> dict[int, int]:
    """Return {domain: positive integer} that add up to ONE, the largest first; domains of weight 0 are left out."""
    total = sum(weights)
    shares = {domain: max(1, round(weight / total * ONE)) for domain, weight in enumerate(weights) if weight}
    ordered = sorted(shares, key=lambda domain: -shares[domain])
    if ordered:
        shares[ordered[0]] += ONE - sum(shares.values())
    return {domain: shares[domain] for domain in ordered}


def _section(first: int, drawn: list[int], quotas: list[int], shares: dict[int, int]) -> Section:
    """Return the section in which domains with a share come nearest to the sums of their shares so far, `quotas`.

    The excess or lack of draws of the other domains is spread evenly over these.
    """
    surplus = sum(drawn[domain] * ONE - quotas[domain] for domain in shares) // len(shares)
    wanted = {domain: quotas[domain] + surplus - drawn[domain] * ONE for domain in shares}
    parts, of_rest, rest = [], sum(wanted.values()), ONE
    for domain, share in shares.items():
        parts.append((wanted[domain] - of_rest * share // rest, share, rest))
        of_rest, rest = of_rest - wanted[domain], rest - share
    return Section(first, drawn, list(shares), parts)


def _draw_of(section: Section, domain: int, count: int | None, end: int | None) -> int | None:
    """Return the draw before which a domain has been drawn `count` times, or None if that is not before `end`."""
    if count is None:
        return None
    low, step = section.first, 1
    while section.counts(low + step)[domain] < count:
        low, step = low + step, 2 * step
        if end is not None and low >= end:
            return None
    high = low + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if section.counts(middle)[domain] >= count else (middle, high)
    return high if end is None or high < end else None


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")
