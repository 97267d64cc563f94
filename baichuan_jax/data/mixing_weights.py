"""How the weights of domains are chosen: by size, by DoReMi, and by a model of the losses of small runs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.optimize import minimize

FLOORS = np.linspace(0.0, 0.995, 200)  # of the log-linear model, as shares of the least loss


def weights_by_size(tokens: Mapping[str, float], exponent: float) -> dict[str, float]:
    """Return weights that add up to 1 in proportion to tokens ** exponent: 1 is natural, 0 uniform."""
    powers = {name: size**exponent for name, size in tokens.items()}
    total = sum(powers.values())
    return {name: power / total for name, power in powers.items()}


def excess_losses(nll: np.ndarray, reference_nll: np.ndarray, domains: np.ndarray, count: int) -> np.ndarray:
    """Return the mean excess loss of each domain, clipped at 0 token by token, [count]; 0 where a domain has no token.

    nll, reference_nll: of the targets, [B, T]. domains: of the sequences, [B]. Algorithm 1 of DoReMi, lambda.
    """
    clipped = np.maximum(nll - reference_nll, 0.0)
    sums = np.bincount(domains, clipped.sum(axis=1), count)
    return sums / np.maximum(np.bincount(domains, minlength=count) * nll.shape[1], 1)


class DoReMi:
    """The weights of a proxy model's domains under Group DRO (Xie et al., arXiv 2305.10429, algorithm 1).

    step_size, smoothing: eta and c of the paper, with its values.
    """

    def __init__(self, domains: int, step_size: float = 1.0, smoothing: float = 1e-3):
        self._step_size, self._smoothing = step_size, smoothing
        self.weights = np.full(domains, 1 / domains)
        self.trajectory: list[np.ndarray] = []

    def update(self, excess: np.ndarray) -> np.ndarray:
        """Return the weights for the next gradient. excess: of each domain, as from `excess_losses`."""
        raised = self.weights * np.exp(self._step_size * (excess - excess.max()))  # the maximum cancels: no overflow
        self.weights = (1 - self._smoothing) * raised / raised.sum() + self._smoothing / len(raised)
        self.trajectory.append(self.weights)
        return self.weights

    @property
    def average(self) -> np.ndarray:
        """The mean of the weights over all updates, which is what DoReMi returns."""
        return np.mean(self.trajectory, axis=0)


class LogLinearLosses:
    """Losses of domains as functions of the mix: loss = floor + exp(sum of coefficient * share).

    The data mixing law of Ye et al. (arXiv 2403.16952); its factor is in the coefficients, since shares add up to 1.
    Without a floor a loss that is steep near a share of 0 and flat elsewhere is not fitted.
    """

    def __init__(self, mixes: np.ndarray, losses: np.ndarray):
        """Fit to runs. mixes: shares, [runs, domains]. losses: of held-out text, positive, [runs, measured].

        The logarithm of what is above the floor is fitted by least squares, for each of FLOORS; the floor of the least
        squared error of the losses is taken, for each measured text by itself.
        """
        least = losses.min(axis=0)
        candidates = []
        for floor in (share * least for share in FLOORS):
            coefficients = np.linalg.lstsq(mixes, np.log(losses - floor), rcond=None)[0]
            errors = ((floor + np.exp(mixes @ coefficients) - losses) ** 2).sum(axis=0)
            candidates.append((errors, floor, coefficients))
        errors, floors, coefficients = map(np.array, zip(*candidates))
        best, each = errors.argmin(axis=0), np.arange(losses.shape[1])
        self._floors, self._coefficients = floors[best, each], coefficients[best, :, each].T

    def predict(self, mixes: np.ndarray) -> np.ndarray:
        """Return the losses [runs, measured] of mixes [runs, domains]."""
        return self._floors + np.exp(mixes @ self._coefficients)

    def best_mix(self, caps: np.ndarray) -> np.ndarray:
        """Return the mix of the least mean loss. caps: largest share of each domain, [domains], 1 or more in all.

        The mean of exponentials is convex, so the local minimum is global.
        """
        start = caps / caps.sum()
        found = minimize(
            lambda mix: self.predict(mix).mean(),
            start,
            jac=lambda mix: self._coefficients @ (self.predict(mix) - self._floors) / len(self._floors),
            method="SLSQP",
            bounds=[(0.0, min(1.0, cap)) for cap in caps],
            constraints={"type": "eq", "fun": lambda mix: mix.sum() - 1.0, "jac": np.ones_like},
            options={"ftol": 1e-12, "maxiter": 1000},
        )
        mix = np.clip(found.x, 0.0, caps)
        return mix / mix.sum()


def largest_shares(sizes: np.ndarray, tokens: float, max_epochs: float) -> np.ndarray:
    """Return the share of `tokens` of training at which each domain is read `max_epochs` times, at most 1."""
    return np.minimum(1.0, max_epochs * sizes / tokens)
