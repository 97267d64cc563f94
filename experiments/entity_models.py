"""The models of entity_repair: the base, what it is tuned to, and their answers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from baichuan_jax.core.errors import require
from baichuan_jax.core.files import write_text
from baichuan_jax.core.settings import setting
from baichuan_jax.core.stage import finished_in
from baichuan_jax.data.dataset import domains, read_documents
from baichuan_jax.generate.generate import stream_ids
from baichuan_jax.lab.sweep import Point, Sweep, product, values
from baichuan_jax.recipe.load import as_lines, load_config
from baichuan_jax.recipe.run import Run
from baichuan_jax.recipe.workdir import CONFIG
from baichuan_jax.train.config import CHECKPOINTS
from experiments.entity_scores import write_names
from experiments.entity_split import Case


@dataclass(frozen=True)
class EntityModels:
    """The base, and how it is asked and tuned."""

    base: str = setting("quickstart", "workdir of a run with a trained or imported model; or a config, for its run")
    base_settings: tuple[str, ...] = setting(
        (), "settings to change in the config that `base` names, as in --set; the run is then made for this experiment"
    )
    template: str = setting("alpaca", "ChatConfig.template: one that the base's tokenizer can serve")
    instruction: str = setting("列出改正后的名称，用JSON回答。", "system message that comes before every sentence")
    max_tokens: int = setting(48, "tokens of an answer, at most")
    methods: dict[str, tuple[int, float]] = setting(
        {"LoRA": (16, 3e-3), "full tuning": (0, 1e-3)}, "ways to tune: name -> (LoraConfig.rank, TuneConfig.peak_lr)"
    )
    seeds: tuple[int, ...] = setting((0, 1, 2), "random seeds of tuning")
    steps: int = setting(400, "TuneConfig.steps")
    batch: int = setting(16, "TuneConfig.batch")
    length: int = setting(128, "TuneConfig.length; a sequence has several sentences")
    tune_settings: tuple[str, ...] = setting((), "further settings of the tuned runs, as in --set")

    def __post_init__(self) -> None:
        require(bool(self.methods), "EntityModels.methods", self.methods, "one way to tune, or more")
        require(bool(self.seeds), "EntityModels.seeds", self.seeds, "one seed or more")
        for name in ("steps", "batch", "length", "max_tokens"):
            require(getattr(self, name) > 0, f"EntityModels.{name}", getattr(self, name), "1 or more")

    @property
    def prompt(self) -> Point:
        """How a model is asked."""
        return {name: getattr(self, name) for name in ("template", "instruction", "max_tokens")}

    @property
    def sweep(self) -> Sweep:
        """One point for each model that is tuned."""
        each = [{"method": name, "rank": rank, "peak_lr": rate} for name, (rank, rate) in self.methods.items()]
        names = ("steps", "batch", "length", "tune_settings")
        return product(each, values("seed", self.seeds), [{name: getattr(self, name) for name in names}])


def open_base(cfg: EntityModels, directory: Path) -> Run:
    """Return the run of the base, trained, with the template that it is asked by."""
    template = as_lines({"ChatConfig.template": cfg.template})
    if (Path(cfg.base) / CONFIG).is_file():
        return Run.open(cfg.base, template)
    own = as_lines({"RunConfig.workdir": directory / "base"}) if cfg.base_settings else []
    run = Run(load_config(cfg.base, [*cfg.base_settings, *own, *template]))
    run.build("train")
    return run


def base_identity(base: Run) -> str:
    """Return a digest of the base: of its training, or where it was imported."""
    return base.pipeline.stage("train").identity if base.config.train.steps else str(base.config.train.start)


def base_text(base: Run) -> str:
    """Return the text that the base's training tokens are from; "" if it is not at hand, as of an imported model."""
    place = base.place("data")
    if not finished_in(place):
        return ""
    found = (read_documents(place, domain, "train", fields=("text",)) for domain in domains(place))
    return "\n".join(document["text"] for documents in found for document in documents)


def ask(run: Run, cases: Sequence[Case], cfg: EntityModels) -> list[str]:
    """Return the answers of a run's model, decoded greedily."""
    template, engine = run.chat_template, run.load_engine()
    prompts = [template.prompt(_conversation(cfg, case)) for case in cases]
    sample = replace(run.config.sample, temperature=0.0, max_tokens=cfg.max_tokens, stop=())
    answers = [""] * len(prompts)
    for piece in stream_ids(engine, run.tokenizer, prompts, sample, template.end_ids):
        answers[piece.number] += piece.text
    return answers


def tune(base: Run, train: Sequence[Case], cfg: EntityModels, point: Point, folder: Path) -> Run:
    """Return a run in a folder with the base tuned on some cases, as a point of the sweep says."""
    file = folder / "conversations.jsonl"
    answers = ({"role": "assistant", "content": write_names(case.right)} for case in train)
    lines = ({"messages": [*_conversation(cfg, case), answer]} for case, answer in zip(train, answers))
    write_text(file, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    settings = {
        "RunConfig.workdir": folder / "run",
        "RunConfig.base": base.workdir,
        "ChatConfig.template": cfg.template,
        "InstructionConfig.sources": {"names": str(file)},
        "LoraConfig.rank": point["rank"],
        **{f"TuneConfig.{name}": point[name] for name in ("steps", "batch", "length", "seed", "peak_lr")},
    }
    run = Run(load_config(base.workdir / CONFIG, [*as_lines(settings), *cfg.tune_settings]))
    run.build("tune")
    return run


def remove_checkpoints(run: Run) -> None:
    """Remove what is large of a tuned run, once it has answered everything."""
    shutil.rmtree(run.place("tune") / CHECKPOINTS)


def _conversation(cfg: EntityModels, case: Case) -> list[dict[str, str]]:
    return [{"role": "system", "content": cfg.instruction}, {"role": "user", "content": case.text}]
