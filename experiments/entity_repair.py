"""Names in Chinese sentences, written wrong by characters that sound or look alike: can a tuned model read them right?

Command: baichuan-jax experiment entity_repair   Cost: the quickstart's run, if it is not there, and about ten minutes.

Sentence in, JSON list of the names out, as they should be. Each name, carrier sentence and pair of confusable
characters is either trained with or tested with. The base is asked before it is tuned. What needs no tuning is told
where the names stand, so half of the task is done for it: a copy, and the most probable form of each name under the
base, among all that differ in one confusable character. Names that are written right are to be left alone.
`--set EntityRepair.sentences=FILE` takes sentences in CLUENER's layout, `--set EntityRepair.base=WORKDIR` another base,
such as an imported one of 7 billion parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random

import jax

from baichuan_jax.core.errors import require
from baichuan_jax.core.files import digest
from baichuan_jax.core.settings import setting
from baichuan_jax.core.stage import finished_in
from baichuan_jax.data.dataset import domains, read_documents
from baichuan_jax.generate.generate import stream_ids
from baichuan_jax.lab.experiment import Outcome, Table
from baichuan_jax.lab.plots import COLORS, Plot, bar_height, bars
from baichuan_jax.lab.sweep import Progress, run_units
from baichuan_jax.recipe.load import load_config
from baichuan_jax.recipe.run import Run
from experiments import entity_tables as tables
from experiments.entity_baselines import copied, rescored
from experiments.entity_confusions import Confusions, count_pairs, find_confusions, split_pairs
from experiments.entity_sentences import Name, read_sentences, suitable
from experiments.entity_split import Case, Corruption, common_characters, make_cases, split_sentences
from experiments.entity_tables import Answers, Compared

UNTUNED, COPY, RESCORED = "untuned base", "copy", "base, rescored"
# The example of the article that the recipe's authors cite: Microsoft, Amazon and Google, written wrong.
EXAMPLE = {"微阮": "微软", "亚马孙": "亚马逊", "古歌": "谷歌"}
SAID = "{}发布了新的产品。"
DEBUG = (
    "EntityRepair.base_settings=('VOCAB=3000', 'DecoderConfig.layers=1', 'DecoderConfig.hidden=32', "
    "'DecoderConfig.heads=2', 'DecoderConfig.head_dim=16', 'DecoderConfig.inner=48', 'DataConfig.max_bytes=150000', "
    "'SelectConfig.validation_fraction=0.1', 'TrainConfig.steps=2', 'TrainConfig.batch=4', "
    "'OptimConfig.warmup_steps=1')",
    "EntityRepair.longest=14",
    "EntityRepair.tested=0.05",
    "EntityRepair.per_name=1",
    "EntityRepair.max_tokens=4",
)


@dataclass(frozen=True)
class EntityRepair:
    """The sentences, how their names are corrupted, and the model that is tuned."""

    workdir: str = setting("runs/experiments/entity_repair", "directory of units, tables, plots and report")
    base: str = setting("quickstart", "workdir of a run with a trained or imported model; or a config, for its run")
    base_settings: tuple[str, ...] = setting(
        (), "settings to change in the config that `base` names, as in --set; its run is then made in `workdir`"
    )
    template: str = setting("alpaca", "ChatConfig.template: one that the base's tokenizer can serve")
    instruction: str = setting(
        "找出句子中的名称，改正其中的错字，用JSON列表回答。", "system message that comes before every sentence"
    )
    sentences: str = setting("", "file in the layout of CLUENER; '' for the newspaper among the demo corpora")
    shortest: int = setting(6, "characters of a sentence, at least")
    longest: int = setting(40, "characters of a sentence, at most")
    names: int = setting(2, "names of a sentence, at most")
    per_name: int = setting(4, "sentences of a name, at most, on either side")
    tested: float = setting(0.2, "share of the names and of the confusion pairs that are tested, not trained with")
    common: int = setting(1500, "most frequent characters, which alone are written in place of others")
    corruptions: int = setting(2, "corrupted forms of a sentence that is trained on, beside as many uncorrupted copies")
    seed: int = setting(0, "of the split and of the corruption")
    max_tokens: int = setting(48, "tokens of an answer, at most")
    failures: int = setting(12, "wrong answers that are shown")

    def __post_init__(self) -> None:
        require(0 < self.tested < 1, "EntityRepair.tested", self.tested, "a share between 0 and 1")
        require(self.shortest <= self.longest, "EntityRepair.longest", self.longest, f"{self.shortest} or more")
        for name in ("names", "per_name", "common", "corruptions", "max_tokens"):
            require(getattr(self, name) > 0, f"EntityRepair.{name}", getattr(self, name), "1 or more")


@dataclass(frozen=True)
class Task:
    """What is trained on, asked and shown. example: cases that are only shown. counts: of the split."""

    train: list[Case]
    test: list[Case]
    example: list[Case]
    confusions: Confusions
    counts: dict[str, int]


def make_task(cfg: EntityRepair) -> Task:
    """Return the cases. The names and confusions of the example are of the test, whatever is drawn."""
    sentences = suitable(read_sentences(cfg.sentences), cfg.shortest, cfg.longest, cfg.names)
    require(len(sentences) > 1, "EntityRepair.sentences", cfg.sentences, "a text with more sentences of this size")
    rng = Random(cfg.seed)
    held = [pair for forms in EXAMPLE.items() for pair in zip(*forms) if pair[0] != pair[1]]
    characters = {each for sentence in sentences for each in sentence.text}.union(*EXAMPLE.items())
    wrong = common_characters(sentences, cfg.common).union(*EXAMPLE)
    confusions = find_confusions(characters, wrong)
    trained, tested = split_pairs(confusions, cfg.tested, rng, held)
    sides = split_sentences(sentences, cfg.tested, cfg.per_name, rng, EXAMPLE.values())
    known = {name.text for each in sentences for name in each.names}.union(EXAMPLE.values())
    train = make_cases(sides.train, Corruption(trained, wrong, known), cfg.corruptions, rng)
    test = make_cases(sides.test, Corruption(tested, wrong, known), 1, rng)
    counts = {
        **sides.counts,
        "cases to train on": len(train),
        "cases to test with": len(test),
        "pairs to train with": count_pairs(trained).total(),
        "pairs to test with": count_pairs(tested).total(),
    }
    return Task(train, test, example_cases(), confusions, counts)


def example_cases() -> list[Case]:
    """Return the example: all names in one sentence, and one sentence for each."""
    found = []
    for names in (list(EXAMPLE), *([name] for name in EXAMPLE)):
        text = SAID.format("、".join(names))
        written = tuple(Name(name, "company", text.index(name)) for name in names)
        found.append(Case(text, written, tuple(EXAMPLE[name] for name in names), "example", "company"))
    return found


def run(cfg: EntityRepair, directory: Path, progress: Progress) -> Outcome:
    """Ask the untuned base, then every other system; compare them."""
    progress("sentences", 0, 1)
    task = make_task(cfg)
    base = open_base(cfg, directory)
    cases = [*task.test, *task.example]
    common = {"cases": digest(repr(cases)), "base": base_identity(base), "max_tokens": cfg.max_tokens}
    prompt = {"template": cfg.template, "instruction": cfg.instruction}
    systems = {
        UNTUNED: (common | prompt, lambda: ask(base, cases, cfg)),
        COPY: (common, lambda: copied(cases)),
        RESCORED: (common, lambda: rescored(cases, base, task.confusions, progress)),
    }
    found: dict[str, Answers] = {}
    for name, (point, answer) in systems.items():
        build = lambda _, __, answer=answer: {"answers": answer()}
        units = run_units(directory / "units", [{"system": name} | point], build, progress, kind="ask")
        found[name] = [unit["answers"] for unit in units]
    return _outcome(cfg, task, base, found)


def _outcome(cfg: EntityRepair, task: Task, base: Run, found: Mapping[str, Answers]) -> Outcome:
    """Return the tables, the untuned base first."""
    count = len(task.test)
    asked = Compared(task.test, {name: [seed[:count] for seed in seeds] for name, seeds in found.items()})
    shown = {name: [seed[count:] for seed in seeds] for name, seeds in found.items()}
    text = base_text(base)
    times = {name: text.count(name) for case in task.test for name in case.right} if text else {}
    made = [
        tables.results("before", "Before tuning", asked, [UNTUNED]),
        tables.results("results", "Names repaired, and names left alone", asked, list(found)),
        tables.example(task.example, shown),
        tables.groups(asked, times),
        tables.failures(asked, list(found), cfg.failures),
        _split_table(task, base, text),
    ]
    return Outcome(_summary(asked), made, [_plot(asked)])


def _summary(asked: Compared) -> str:
    repaired = {name: float(scores.exact.mean()) for name, scores in asked.wrong.items()}
    best = max(repaired, key=lambda name: repaired[name])
    altered = float(asked.right[best].altered.mean())
    return (
        f"Most repaired: {best}, {repaired[best]:.1%}; it over-corrects {altered:.1%} of the sentences that are right."
    )


def _plot(asked: Compared) -> Plot:
    of = {"repaired": asked.wrong, "left alone": asked.right}
    series = {label: [100 * float(each.exact.mean()) for each in scores.values()] for label, scores in of.items()}
    said = "; ".join(f"{name} {a:.1f} and {b:.1f} %" for name, a, b in zip(asked.systems, *series.values()))
    paint = partial(bars, names=list(asked.systems), series=series, colors=COLORS, unit="% of sentences")
    alt = f"Sentences whose corrupted names were repaired, and whose right names were left alone: {said}."
    return Plot("entity_repair", "Names repaired, and left alone", alt, paint, bar_height(len(asked.systems), 2))


def _split_table(task: Task, base: Run, text: str) -> Table:
    trained = base.result("train") if base.config.train.steps else None
    carriers = sum(case.text in text for case in task.test if not case.corruption)
    about = {
        "base": str(base.workdir),
        "parameters of the base": sum(each.size for each in jax.tree.leaves(base.params)),
        "tokens that the base was trained on here": trained.tokens if trained else 0,
        **task.counts,
        "sentences to test with that the base's text has, uncorrupted": carriers if text else None,
    }
    note = "Names, carrier sentences and confusion pairs of the test are not trained with."
    return Table("split", "The base and the split", ["", "number"], [list(each) for each in about.items()], note)


def base_text(base: Run) -> str:
    """Return the text that the base's training tokens are from; "" if it is not at hand, as of an imported model."""
    place = base.place("data")
    if not finished_in(place):
        return ""
    found = (read_documents(place, domain, "train", fields=("text",)) for domain in domains(place))
    return "\n".join(document["text"] for documents in found for document in documents)


def open_base(cfg: EntityRepair, directory: Path) -> Run:
    """Return the run of the base, trained, with the template that it is asked by."""
    changes = {"ChatConfig.template": cfg.template}
    if (Path(cfg.base) / "config.gin").is_file():
        return Run.open(cfg.base, changes)
    workdir = [f"RunConfig.workdir={str(directory / 'base')!r}"] if cfg.base_settings else []
    run = Run(load_config(cfg.base, [*cfg.base_settings, *workdir, f"ChatConfig.template={cfg.template!r}"]))
    run.build("train")
    return run


def base_identity(base: Run) -> str:
    """Return a digest of the base: of its training, or of where it was imported from."""
    return base.pipeline.stage("train").identity if base.config.train.steps else str(base.config.train.start)


def conversation(cfg: EntityRepair, text: str) -> list[dict[str, str]]:
    """Return what a model is asked."""
    return [{"role": "system", "content": cfg.instruction}, {"role": "user", "content": text}]


def ask(run: Run, cases: Sequence[Case], cfg: EntityRepair) -> list[str]:
    """Return the answers of a run's model, decoded greedily."""
    prompts = [run.chat_template.prompt(conversation(cfg, case.text)) for case in cases]
    sample = replace(run.config.sample, temperature=0.0, max_tokens=cfg.max_tokens, stop=())
    answers = [""] * len(prompts)
    for piece in stream_ids(run.load_engine(), run.tokenizer, prompts, sample, run.chat_template.end_ids):
        answers[piece.number] += piece.text
    return answers
