"""What experiments on variants share: small decoders that differ in one thing, trained on the same real text.

Every variant sees, for one seed, the same windows in the same order; so variants are compared seed by seed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter

from baichuan_jax.config.literal import literal
from baichuan_jax.core.errors import require
from baichuan_jax.core.files import write_text
from baichuan_jax.core.metrics import read_metrics
from baichuan_jax.core.settings import setting
from baichuan_jax.evaluate.bits import BitsPerByte
from baichuan_jax.evaluate.heldout import held_out
from baichuan_jax.lab.experiment import Outcome, Table
from baichuan_jax.lab.plots import COLORS, DASHES, Plot
from baichuan_jax.lab.sweep import Point, Progress, product, run_units, values
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import Params
from baichuan_jax.model.execution import FLOAT32
from baichuan_jax.model.flops import flops_per_token
from baichuan_jax.recipe.load import load_config
from baichuan_jax.recipe.run import Run
from baichuan_jax.recipe.trained import make_layout
from baichuan_jax.tokenizer.interface import AnyTokenizer
from baichuan_jax.tokenizer.shards import TokenStore
from baichuan_jax.train.checkpoint import Checkpoints
from baichuan_jax.train.config import CHECKPOINTS, MixConfig, OptimConfig, TrainConfig
from baichuan_jax.train.input import Batches
from baichuan_jax.train.loop import Weigh, train
from baichuan_jax.train.state import abstract_params
from baichuan_jax.train.step import make_execution

Model = Callable[[str, DecoderConfig], DecoderConfig]  # (variant, the common shape) -> its decoder
Training = tuple[TrainConfig, OptimConfig]
Measure = Callable[[DecoderConfig, Params], dict]
DEBUG = (
    "TrialConfig.corpus_settings=('DataConfig.max_bytes=150000', 'SelectConfig.validation_fraction=0.1')",
    "TrialConfig.seeds=(0,)",
    "TrialConfig.steps=3",
    "TrialConfig.batch=4",
    "TrialConfig.length=16",
    "TrialConfig.layers=2",
    "TrialConfig.hidden=32",
    "TrialConfig.windows=2",
)


@dataclass(frozen=True)
class TrialConfig:
    """What all variants have in common."""

    corpus: str = setting("configs/experiments/variants.gin", "config of the text")
    corpus_workdir: str = setting("runs/experiments/corpus", "where the text is prepared, once for all experiments")
    corpus_settings: tuple[str, ...] = setting((), "settings to change in `corpus`, as in --set")
    seeds: tuple[int, ...] = setting((0, 1, 2), "random seeds of parameters and data order")
    steps: int = setting(300, "optimizer steps")
    batch: int = setting(8, "sequences per step")
    length: int = setting(128, "tokens per sequence")
    layers: int = setting(2, "number of blocks")
    hidden: int = setting(128, "width of the residual stream")
    heads: int = setting(4, "number of query heads")
    peak_lr: float = setting(3e-3, "highest learning rate, reached after a tenth of the steps")
    windows: int = setting(16, "held-out sequences per domain in each evaluation")

    def __post_init__(self) -> None:
        require(bool(self.seeds), "TrialConfig.seeds", self.seeds, "one seed or more")
        require(self.steps > 1, "TrialConfig.steps", self.steps, "2 or more")
        require(self.hidden % self.heads == 0, "TrialConfig.heads", self.heads, f"a divisor of hidden = {self.hidden}")


class Trial:
    """The prepared text, and decoders trained on it."""

    def __init__(self, cfg: TrialConfig, directory: Path, progress: Progress, also: Point | None = None):
        """also: settings beside `cfg` that shape what is trained."""
        self.cfg, self._directory, self._progress, self._also = cfg, directory, progress, also or {}
        settings = (*cfg.corpus_settings, f"RunConfig.workdir={cfg.corpus_workdir}")
        self._run = Run(load_config(cfg.corpus, settings))
        for number, stage in enumerate(("data", "tokenizer", "tokens")):
            progress(stage, number, 3)
            self._run.build(stage)
        self.corpus = self._run.config
        self.store = TokenStore(self._run.place("tokens"))
        self.layout = make_layout(self.corpus)
        # Seeds of a variant run the same program: it is compiled once, also over calls.
        jax.config.update("jax_compilation_cache_dir", str(directory / "programs"))

    def shape(self, **changes: Any) -> DecoderConfig:
        """Return the decoder that every variant starts from: about as many parameters inside for every kind."""
        cfg = self.cfg
        sizes = {"layers": cfg.layers, "hidden": cfg.hidden, "heads": cfg.heads, "head_dim": cfg.hidden // cfg.heads}
        shape = {"vocab": self.store.vocab, "inner": 0, "context": 4 * cfg.length, "remat": "none"}
        return DecoderConfig(**(sizes | shape | changes))

    def point(self) -> Point:
        """Return everything that shapes what is trained, but for the variant and the seed."""
        common = {
            name: value
            for name, value in asdict(self.cfg).items()
            if name not in ("corpus", "corpus_workdir", "corpus_settings", "seeds")
        }
        return common | self._also | {"corpus": self._run.pipeline.stage("tokens").identity}

    def run(
        self,
        variants: Sequence[str],
        model: Model,
        measure: Measure | None = None,
        training: Callable[[str, Training], Training] = lambda variant, common: common,
        mixes: Mapping[str, Mapping[str, float]] | None = None,
        seeds: Sequence[int] = (),
    ) -> dict[str, list[dict]]:
        """Train every variant on every seed; return {variant: results of its seeds}.

        training: (variant, the common settings) -> its settings of training. mixes: variant -> weights of the domains;
        those of the corpus's config by default. seeds: those of the config by default.

        A result has parameters, flops (forward and backward, a token), tokens and bits (held-out bits per byte, mean
        over domains, as training went), domains (those of each at the end), and what `measure` returns of the trained
        decoder.
        """
        each = [{"variant": variant} | ({"mix": dict(mixes[variant])} if mixes else {}) for variant in variants]
        sweep = product(each, values("seed", seeds or self.cfg.seeds), [self.point()])

        def build(point: Point, folder: Path) -> dict:
            variant, settings = point["variant"], training(point["variant"], self.common(point["seed"]))
            mix = MixConfig(point["mix"]) if mixes else self.corpus.mix
            return self.train(model(variant, self.shape()), settings, folder, measure, mix)

        results = run_units(self._directory / "units", sweep, build, self._progress, kind="train")
        found: dict[str, list[dict]] = {variant: [] for variant in variants}
        for point, result in zip(sweep, results):
            found[point["variant"]].append(result)
        return found

    @property
    def tokenizer(self) -> AnyTokenizer:
        """The tokenizer of the text."""
        return self._run.tokenizer

    def bytes_per_token(self) -> dict[str, float]:
        """Return the UTF-8 bytes of a token of each domain's held-out text, in the mean."""
        compression = self._run.result("tokenizer").compression
        return {domain: rates["bytes_per_token"] for domain, rates in compression.items()}

    def common(self, seed: int) -> Training:
        """Return the settings of training that all variants start from."""
        cfg, steps = self.cfg, self.cfg.steps
        often = max(1, steps // 6)
        train_cfg = TrainConfig(
            steps=steps,
            batch=cfg.batch,
            length=cfg.length,
            seed=seed,
            log_every=often,
            eval_every=often,
            checkpoint_every=steps,
            keep=1,
        )
        return train_cfg, OptimConfig(peak_lr=cfg.peak_lr, warmup_steps=steps // 10)

    def train(
        self,
        model_cfg: DecoderConfig,
        training: Training,
        folder: Path,
        measure: Measure | None,
        mix: MixConfig,
        weigh: Weigh | None = None,
    ) -> dict:
        """Train a decoder in a folder; return its result. weigh: as `train` has it."""
        cfg, (train_cfg, optim_cfg) = self.cfg, training
        texts = {domain: held_out(self.store, domain, cfg.length, cfg.windows) for domain in self.store.domains}
        lengths = self.tokenizer.byte_lengths()
        exe = make_execution(train_cfg, model_cfg, self.layout)
        validate = BitsPerByte(model_cfg, texts, lengths, replace(exe, dtype=FLOAT32), cfg.windows)
        batches = Batches(train_cfg, mix, self.store)
        summary = train(train_cfg, optim_cfg, model_cfg, exe, batches, folder, validate, weigh=weigh)
        curve = [record for record in read_metrics(folder) if "validation_mean" in record]
        found = {
            "parameters": summary["parameters"],
            "flops": flops_per_token(model_cfg, cfg.length, causal=True),
            "tokens": [record["step"] * cfg.batch * cfg.length for record in curve],
            "bits": [record["validation_mean"] for record in curve],
            "domains": summary["validation"],
        }
        if measure:
            with Checkpoints(folder / CHECKPOINTS) as checkpoints:
                found |= measure(model_cfg, checkpoints.restore_params(abstract_params(model_cfg, self.layout)))
        shutil.rmtree(folder / CHECKPOINTS)  # all that is asked of it is in the result
        return found


def write_mix(directory: Path, found: str, weights: Mapping[str, float]) -> Path:
    """Write the weights of a mix as a gin fragment that a run can include; return its path. found: of its comment."""
    path = directory / "mix.gin"
    write_text(path, f"# {found}\nMixConfig.weights = {literal(dict(weights))}\n")
    return path


def spread(numbers: Sequence[float]) -> float | None:
    """Return the standard deviation of a sample, or None of a single number."""
    return float(np.std(numbers, ddof=1)) if len(numbers) > 1 else None


def comparison(results: Mapping[str, list[dict]], baseline: str) -> Table:
    """Return final bits per byte by variant, and their differences from one of them, seed by seed."""
    final = {variant: np.array([result["bits"][-1] for result in seeds]) for variant, seeds in results.items()}
    rows = []
    for variant, seeds in results.items():
        differences = final[variant] - final[baseline]
        rows.append(
            [
                variant,
                seeds[0]["parameters"],
                seeds[0]["flops"] / 1e6,
                float(final[variant].mean()),
                spread(final[variant]),
                float(differences.mean()),
                spread(differences),
            ]
        )
    columns = ["variant", "parameters", "MFLOP/token", "bits/byte", "sd", f"against {baseline}", "sd of it"]
    note = f"{len(final[baseline])} seeds. sd: standard deviation over seeds; of the difference, seed by seed."
    return Table("final", "Held-out bits per byte at the end of training", columns, rows, note)


def compared(results: Mapping[str, list[dict]], baseline: str, what: str) -> Outcome:
    """Return the table of `comparison`, and curves of the held-out loss of every `what`."""
    table = comparison(results, baseline)
    best = min(table.rows, key=lambda row: row[3])
    plots = [
        Plot(
            against.lower(),
            f"Held-out loss against {against}",
            f"Held-out bits per byte of every {what} against {against} of training.",
            partial(paint_curves, results=results, against=against),
        )
        for against in ("tokens", "FLOPs")
    ]
    return Outcome(f"Lowest at the end: {best[0]}, {best[3]:.3f} bits per byte.", [table], plots)


def paint_bands(axes: Axes, lines: Mapping[str, tuple[Sequence[float], Sequence[Sequence[float]]]], unit: str) -> None:
    """Draw {name: (x, one y for each seed)}: the mean, and one standard deviation to both sides."""
    for number, (name, (x, seeds)) in enumerate(lines.items()):
        color, dash = COLORS[number % len(COLORS)], DASHES[number // len(COLORS) % len(DASHES)]
        mean, deviation = np.mean(seeds, axis=0), np.std(seeds, axis=0, ddof=min(1, len(seeds) - 1))
        axes.plot(x, mean, dash, color=color, label=name)
        axes.fill_between(x, mean - deviation, mean + deviation, color=color, alpha=0.2, linewidth=0)
    axes.set_ylabel(unit)


def paint_curves(axes: Axes, results: Mapping[str, list[dict]], against: str) -> None:
    """Draw held-out bits per byte against "tokens" or "FLOPs" of training, without the untrained one."""
    lines = {}
    for variant, seeds in results.items():
        scale = seeds[0]["flops"] if against == "FLOPs" else 1
        lines[variant] = [scale * tokens for tokens in seeds[0]["tokens"][1:]], [seed["bits"][1:] for seed in seeds]
    paint_bands(axes, lines, "held-out bits per byte")
    axes.set_xlabel(against)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
