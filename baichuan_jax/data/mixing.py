"""The order in which domains and their windows are drawn: a pure function of (seed, index)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from hashlib import blake2b

import numpy as np

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.permutation import mix, permute

# Domains are shuffled within blocks of this many draws, so every block holds its exact share of each domain. 1,024
# sequences of 4,096 tokens are 4M tokens, about one global batch of a large run.
BLOCK = 1024
WEIGHT_SUM = 2**48  # weights become integers, so counts are exact at any index


class MixtureSampler:
    """An endless sequence: `sampler[index]` is (domain, window), for any index >= 0, in any order of access.

    weights: domain -> share of the draws, any scale. sizes: domain -> number of windows. After n blocks the draws of
    a domain differ from its share by less than 1 + ln(domains) / 2, for any n. A domain visits each of its windows
    once per epoch, in an order that changes with the epoch. start: the first index that is asked for. drawn: how often
    each domain was drawn before that.
    """

    def __init__(
        self,
        weights: Mapping[str, float],
        sizes: Mapping[str, int],
        seed: int,
        start: int = 0,
        drawn: Mapping[str, int] | None = None,
    ):
        check_weights(weights, sizes)
        self.start, self._given, self._drawn = start, (sizes, seed), dict(drawn or {})
        shares = _integer_shares(weights)
        self.domains = list(shares)
        self._shares = list(shares.values())
        self._sizes = [sizes[domain] for domain in self.domains]
        self._salts = [_hash(f"{seed} {domain}") for domain in self.domains]
        self._order_salt = _hash(f"{seed}")
        self._cached: tuple[int, list[tuple[str, int]]] = (-1, [])

    def __getitem__(self, index: int) -> tuple[str, int]:
        if index < self.start:
            raise IndexError(f"draw {index}: the sequence starts at {self.start}")
        index -= self.start
        number, draws = self._cached  # one tuple, replaced atomically, so that threads may share the sampler
        if number != index // BLOCK:
            number = index // BLOCK
            draws = self._block(number)
            self._cached = (number, draws)
        return draws[index % BLOCK]

    def then(self, weights: Mapping[str, float], index: int) -> MixtureSampler:
        """Return what goes on from an index with other weights; of both together each domain visits its windows."""
        inside = (index - self.start) % BLOCK
        before = self._counts(index - self.start - inside)
        last = Counter(self[index - 1 - n][0] for n in range(inside))
        drawn = {domain: count + last[domain] for domain, count in zip(self.domains, before)}
        drawn = {domain: drawn.get(domain, 0) + self._drawn.get(domain, 0) for domain in drawn | self._drawn}
        return MixtureSampler(weights, *self._given, index, drawn)

    def _block(self, number: int) -> list[tuple[str, int]]:
        """Return the draws of block `number` from the start."""
        before, after = self._counts(number * BLOCK), self._counts((number + 1) * BLOCK)
        slots = np.arange(number * BLOCK, (number + 1) * BLOCK, dtype=np.uint64) + np.uint64(self.start)
        order = np.argsort(mix(slots, self._order_salt), kind="stable")
        owners = np.repeat(np.arange(len(self.domains)), np.subtract(after, before))[order]
        windows = np.empty(BLOCK, np.int64)
        for k in range(len(self.domains)):
            drawn = self._drawn.get(self.domains[k], 0)
            windows[owners == k] = self._windows(k, drawn + before[k], drawn + after[k])
        return list(zip([self.domains[k] for k in owners.tolist()], windows.tolist()))

    def _counts(self, index: int) -> list[int]:
        """Return the number of draws of each domain in the first `index` (a multiple of BLOCK).

        Each domain takes its rounded share of what the domains before it left. So the counts add up to `index`, and
        none decreases as the index grows; rounding each share alone would not guarantee that.
        """
        counts, draws, weight = [], index, WEIGHT_SUM
        for share in self._shares:
            count = (2 * draws * share + weight) // (2 * weight)
            counts.append(count)
            draws, weight = draws - count, weight - share
        return counts

    def _windows(self, k: int, first: int, last: int) -> np.ndarray:
        """Return the windows of draws [first, last) of the k-th domain."""
        epoch, position = np.divmod(np.arange(first, last), self._sizes[k])
        return permute(position, mix(epoch.astype(np.uint64), self._salts[k]), self._sizes[k])


def check_weights(weights: Mapping[str, float], sizes: Mapping[str, int]) -> None:
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


def _integer_shares(weights: Mapping[str, float]) -> dict[str, int]:
    """Return positive integers that add up to WEIGHT_SUM, largest first; domains of weight 0 are left out."""
    total = sum(weights.values())
    shares = {domain: max(1, round(weight / total * WEIGHT_SUM)) for domain, weight in weights.items() if weight}
    ordered = sorted(shares, key=lambda domain: (-shares[domain], domain))
    shares[ordered[0]] += WEIGHT_SUM - sum(shares.values())
    return {domain: shares[domain] for domain in ordered}


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")
