"""The root of all settings: one field per section."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from baichuan_jax.chat.config import ChatConfig
from baichuan_jax.core.errors import UserError, require
from baichuan_jax.core.settings import setting
from baichuan_jax.core.suggest import did_you_mean
from baichuan_jax.data.config import DataConfig
from baichuan_jax.data.dedup.config import DedupConfig
from baichuan_jax.data.quality.config import REJECTED, QualityConfig
from baichuan_jax.data.rules.config import FilterConfig
from baichuan_jax.data.select.config import SelectConfig
from baichuan_jax.evaluate.config import EvaluateConfig
from baichuan_jax.generate.config import EngineConfig, SampleConfig
from baichuan_jax.generate.serve.config import ServeConfig
from baichuan_jax.jobs.config import RunnerConfig
from baichuan_jax.model.config import DecoderConfig, LoraConfig
from baichuan_jax.parallel.config import AxisRules, CompilationCacheConfig, MeshConfig
from baichuan_jax.tokenizer.config import TokenizerConfig
from baichuan_jax.train.config import (
    LOCAL,
    MixConfig,
    OptimConfig,
    ProfileConfig,
    RetentionConfig,
    SpikeConfig,
    TrainConfig,
    WandbConfig,
)
from baichuan_jax.tune.config import TuneConfig
from baichuan_jax.tune.data_config import InstructionConfig


@dataclass(frozen=True)
class RunConfig:
    """Everything a run depends on."""

    workdir: str = setting("runs/default", "directory that every stage writes to")
    base: str = setting(
        "",
        "workdir of another run, whose finished stages serve this one where settings and inputs agree; the others are "
        "made here. A relative path starts at the current directory; a base that is not there is sought beside workdir",
    )
    data: DataConfig = field(default_factory=DataConfig)
    filters: FilterConfig = field(default_factory=FilterConfig)
    quality: QualityConfig = field(default_factory=QualityConfig)
    dedup: DedupConfig = field(default_factory=DedupConfig)
    select: SelectConfig = field(default_factory=SelectConfig)
    runner: RunnerConfig = field(default_factory=RunnerConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    model: DecoderConfig = field(default_factory=DecoderConfig)
    mix: MixConfig = field(default_factory=MixConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    spikes: SpikeConfig = field(default_factory=SpikeConfig)
    retention: RetentionConfig = field(default_factory=RetentionConfig)
    profile: ProfileConfig = field(default_factory=ProfileConfig)
    wandb: WandbConfig = field(default_factory=WandbConfig)
    tune: TuneConfig = field(default_factory=TuneConfig)
    lora: LoraConfig = field(default_factory=LoraConfig)
    mesh: MeshConfig = field(default_factory=MeshConfig)
    rules: AxisRules = field(default_factory=AxisRules)
    compilation_cache: CompilationCacheConfig = field(default_factory=CompilationCacheConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    sample: SampleConfig = field(default_factory=SampleConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    chat: ChatConfig = field(default_factory=ChatConfig)
    serve: ServeConfig = field(default_factory=ServeConfig)
    instruction: InstructionConfig = field(default_factory=InstructionConfig)

    def __post_init__(self) -> None:
        require(bool(self.workdir), "RunConfig.workdir", self.workdir, "a directory")
        for name in ("workdir", "base"):
            require("://" not in getattr(self, name), f"RunConfig.{name}", getattr(self, name), LOCAL)
        vocab, context = self.model.vocab, self.model.context
        require(
            self.tokenizer.vocab <= vocab,
            "TokenizerConfig.vocab",
            self.tokenizer.vocab,
            f"at most DecoderConfig.vocab = {vocab}",
        )
        for name, length in (("TrainConfig", self.train.length), ("EvaluateConfig", self.evaluate.length)):
            require(length <= context, f"{name}.length", length, f"at most DecoderConfig.context = {context}")
        self.optim.check_steps(self.train.steps)
        require(
            not (self.lora.adapter and self.instruction.sources),
            "LoraConfig.adapter",
            self.lora.adapter,
            "none in a run that tunes (InstructionConfig.sources); `convert export` merges it, and the result is tuned",
        )
        known = ", ".join(self.data.sources)
        named: dict[str, Iterable[str]] = {
            "MixConfig.weights": self.mix.weights,
            "SelectConfig.max_bytes": self.select.max_bytes,
            "QualityConfig.good": self.quality.good,
            "QualityConfig.bad": [domain for domain in self.quality.bad if domain != REJECTED],
        }
        mistakes = []  # all at once: who changes the sources has to change each of these
        for name, value in named.items():
            unknown = [domain for domain in value if domain not in self.data.sources]
            if unknown:
                hint = did_you_mean(unknown[0], self.data.sources)
                mistakes.append(f"{name} = {value!r}: expected domains of DataConfig.sources ({known}){hint}")
        if mistakes:
            raise UserError("\n".join(mistakes))
