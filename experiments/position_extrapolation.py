"""Perplexity within and beyond the training window, for every position scheme.

Command: baichuan-jax experiment position_extrapolation   Cost: 17 minutes, measured on two cores that others used.

The small counterpart of the recipe's figure, in which Baichuan-7B's perplexity falls from 13.8 at its window of 4,096
tokens to 13.4 at 5,120 and rises to 15.05 at 5,376. Small decoders that differ only in the position scheme are
trained on real text with several seeds, and evaluated on held-out text at contexts of a quarter to four times their
window. RoPE is also evaluated with fourfold scaling, without further training. Learned positions end with the window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import jax
import numpy as np
from matplotlib.axes import Axes

from baichuan_jax.core.errors import require
from baichuan_jax.core.settings import setting
from baichuan_jax.evaluate.heldout import held_out
from baichuan_jax.lab.experiment import Outcome, Table
from baichuan_jax.lab.plots import GREY, Plot
from baichuan_jax.lab.sweep import Progress
from baichuan_jax.model.config import DecoderConfig, PositionConfig
from baichuan_jax.model.decoder import Params, apply
from baichuan_jax.model.execution import Batch
from baichuan_jax.model.loss import token_nll
from baichuan_jax.model.positions import POSITIONS
from experiments import variants
from experiments.variants import Trial, TrialConfig, comparison, paint_bands, spread

DEBUG = (*variants.DEBUG, "PositionExtrapolation.schemes=('learned', 'rope')")
REACH = 4  # training windows
RATIOS = (0.25, 0.5, 1, 2, REACH)
PARTS = 8  # of a training window, over which positions are averaged
CENTRES = [(part + 0.5) / PARTS for part in range(REACH * PARTS)]
LONG_WINDOWS = 12  # of each domain
TOKENS_AT_ONCE = 4096
BASELINE = "rope"


@dataclass(frozen=True)
class PositionExtrapolation:
    """The compared position schemes."""

    workdir: str = setting("runs/experiments/position_extrapolation", "directory of units, tables, plots and report")
    schemes: tuple[str, ...] = setting(tuple(POSITIONS), "position schemes, RoPE among them")
    trial: TrialConfig = field(default_factory=TrialConfig)

    def __post_init__(self) -> None:
        known = BASELINE in self.schemes and set(self.schemes) <= set(POSITIONS)
        require(known, "PositionExtrapolation.schemes", self.schemes, f"'rope' and more of {', '.join(POSITIONS)}")
        length = self.trial.length
        require(length % PARTS == 0, "TrialConfig.length", length, f"a multiple of {PARTS}")


def with_scheme(scheme: str, shape: DecoderConfig) -> DecoderConfig:
    """Return the decoder with this scheme; its context is what it is read at, and of learned vectors their number."""
    context = shape.context // REACH if scheme == "learned" else shape.context
    return replace(shape, positions=PositionConfig(scheme), context=context)


def readings(model_cfg: DecoderConfig) -> dict[str, DecoderConfig]:
    """Return the evaluations of a trained decoder: as trained, and with RoPE scaled."""
    kind, window = model_cfg.positions.kind, model_cfg.context // REACH
    if kind != "rope":
        return {kind: model_cfg}
    stretched = {
        "rope, linear x4": PositionConfig(scaling="linear", factor=REACH),
        "rope, NTK x4": PositionConfig(scaling="ntk", factor=REACH),
        "rope, YaRN x4": PositionConfig(scaling="yarn", factor=REACH, original_context=window),
    }
    return {kind: model_cfg} | {name: replace(model_cfg, positions=positions) for name, positions in stretched.items()}


def run(cfg: PositionExtrapolation, directory: Path, progress: Progress) -> Outcome:
    """Train every scheme on every seed, and score held-out text with each."""
    trial = Trial(cfg.trial, directory, progress)
    results = trial.run(cfg.schemes, with_scheme, partial(measure, trial))
    window = f"in training windows of {cfg.trial.length} tokens"
    contexts, places = by_reading(results, "by_context"), by_reading(results, "by_position")
    plots = [
        Plot(
            "context",
            "Held-out perplexity against context",
            "Perplexity of every scheme against the length of the context, the training window marked.",
            partial(paint, lines=contexts, x=RATIOS, label=f"context, {window}", log=True),
            height=3.2,
        ),
        Plot(
            "position",
            "Held-out perplexity against position",
            "Perplexity of every scheme against the position of the predicted token, the training window marked.",
            partial(paint, lines=places, x=CENTRES, label=f"position, {window}"),
            height=3.2,
        ),
    ]
    table = context_table(contexts)
    furthest = {row[0]: row[len(RATIOS)] for row in table.rows if row[len(RATIOS)] is not None}
    best = min(furthest, key=furthest.get)
    summary = f"At {REACH} times the training window, {best!r} has the lowest perplexity, {furthest[best]:.1f}."
    return Outcome(summary, [table, comparison(results, BASELINE)], plots)


def measure(trial: Trial, model_cfg: DecoderConfig, params: Params) -> dict:
    """Return the mean loss in nats, {reading: at each context length} and {reading: at each position}.

    Every context length predicts the same tokens: long windows are split into shorter ones.
    """
    length = trial.cfg.length
    texts = [held_out(trial.store, domain, REACH * length, LONG_WINDOWS) for domain in trial.store.domains]
    rows = np.concatenate([text.tokens[text.counted.all(axis=1)] for text in texts])
    by_context, by_position = {}, {}
    for name, cfg in readings(model_cfg).items():
        fits = [context for ratio in RATIOS if (context := int(ratio * length)) <= cfg.context]
        losses = [losses_of(cfg, params, rows, context) for context in fits]
        by_context[name] = [float(loss.mean()) for loss in losses]
        by_position[name] = losses[-1].reshape(len(losses[-1]), -1, length // PARTS).mean(axis=(0, 2)).tolist()
    return {"by_context": by_context, "by_position": by_position}


def losses_of(cfg: DecoderConfig, params: Params, rows: np.ndarray, context: int) -> np.ndarray:
    """Return the loss of every token [windows, context] of rows split into windows."""
    pairs = rows[:, :-1].reshape(-1, context), rows[:, 1:].reshape(-1, context)
    at_once = max(1, TOKENS_AT_ONCE // context)
    score = jax.jit(lambda params, tokens, targets: token_nll(apply(cfg, params, Batch(tokens)), targets))
    starts = range(0, len(pairs[0]), at_once)
    return np.concatenate([score(params, *(part[start : start + at_once] for part in pairs)) for start in starts])


def by_reading(results: Mapping[str, list[dict]], measured: str) -> dict[str, list[list[float]]]:
    """Return {reading: perplexities of each seed}."""
    found: dict[str, list[list[float]]] = {}
    for seed in (seed for seeds in results.values() for seed in seeds):
        for name, losses in seed[measured].items():
            found.setdefault(name, []).append(np.exp(losses).tolist())
    return found


def context_table(contexts: Mapping[str, list[list[float]]]) -> Table:
    """Return perplexity and its spread by context length."""
    columns = ["positions", *(f"{ratio}x" for ratio in RATIOS), "sd at 1x", f"sd at {REACH}x"]
    rows = []
    for name, seeds in contexts.items():
        at = dict(zip(RATIOS, zip(*seeds)))
        means = [float(np.mean(at[ratio])) if ratio in at else None for ratio in RATIOS]
        rows.append([name, *means, spread(at[1]), spread(at.get(REACH, ()))])
    note = "Perplexity of the same tokens; sd: standard deviation over seeds. Learned vectors end with the window."
    return Table("context", "Held-out perplexity by context, in training windows", columns, rows, note)


def paint(
    axes: Axes, lines: Mapping[str, list[list[float]]], x: Sequence[float], label: str, log: bool = False
) -> None:
    """Draw {reading: perplexities of each seed} with bands; extreme values are cut off."""
    paint_bands(axes, {name: (x[: len(seeds[0])], seeds) for name, seeds in lines.items()}, "perplexity")
    within = [value for seeds in lines.values() for seed in seeds for at, value in zip(x, seed) if at <= 1]
    highest = max(value for seeds in lines.values() for seed in seeds for value in seed)
    axes.set_ylim(0.9 * min(within), min(1.05 * highest, 2 * max(within)))
    axes.axvline(1, color=GREY, linewidth=1)
    axes.set_xlabel(label)
    if log:
        axes.set_xscale("log", base=2)
        axes.set_xticks(x, [f"{ratio:g}" for ratio in x])
