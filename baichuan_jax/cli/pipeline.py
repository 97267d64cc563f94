"""The recipe as stages: what each depends on, and the function that builds it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from baichuan_jax.config.literal import parts, settings
from baichuan_jax.config.load import Loaded
from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import write_text
from baichuan_jax.core.lock import exclusive
from baichuan_jax.core.process_group import SINGLE_PROCESS, ProcessGroup
from baichuan_jax.core.stage import Stage, finished_in
from baichuan_jax.data.select.records import set_files
from baichuan_jax.data.sources.source import all_source_files
from baichuan_jax.recipe.run_config import RunConfig

CONFIG, LOCK = "config.gin", ".lock"


@dataclass(frozen=True)
class Recipe:
    """What a stage is made from: sections of the config, and other stages.

    Mesh, axis rules, profile, runner and engine do not shape results. multi_process: whether several processes may
    build it. looks: whether it only looks at a model, which any version may have made. changes: what became of the
    output when it changed; their number is the version of the stage. Add a phrase whenever the stage writes something
    else for the same config and inputs, so that nobody gets what older code has made.
    """

    sections: tuple[str, ...]
    needs: tuple[str, ...]
    unfinished: Literal["redo", "resume", "keep"] = "redo"
    multi_process: bool = False
    looks: bool = False
    changes: tuple[str, ...] = ()


# In the order they run. The function of stage NAME is `build` in the module `baichuan_jax.cli.stages.NAME`.
RECIPES = {
    "data": Recipe(
        ("data", "filters", "quality", "dedup", "select"),
        (),
        unfinished="resume",
        changes=("encodings, rules, repeated sentences and contamination are judged anew",),
    ),
    "tokenizer": Recipe(("tokenizer",), ("data",), changes=("tokenizer.json gives SentencePiece's ids for any text",)),
    "tokens": Recipe(
        (),
        ("data", "tokenizer"),
        unfinished="resume",
        changes=("a text begins with <s> only where its tokenizer says so",),
    ),
    "train": Recipe(
        ("model", "mix", "train", "optim"),
        ("tokens",),
        unfinished="keep",
        multi_process=True,
        changes=("the cosine of the learning rate ends at the last step",),
    ),
    "evaluate": Recipe(("evaluate",), ("train",), multi_process=True, looks=True),
    "generate": Recipe(("sample",), ("train",), looks=True),
    "report": Recipe((), ("evaluate", "generate"), looks=True),
}

BUILT_BY = {"tokens": "tokenizer"}  # stages that the verb of another one builds


class Pipeline:
    """The stages of one config in its workdir."""

    def __init__(self, loaded: Loaded):
        self._text = loaded.text
        self.config: RunConfig = loaded.config
        self.workdir = Path(self.config.workdir)
        self._stages: dict[str, Stage] = {}

    def stage(self, name: str) -> Stage:
        """Return a stage with everything it depends on resolved."""
        if name not in self._stages:
            self._stages[name] = self._resolve(name)
        return self._stages[name]

    def alone(self, name: str) -> Stage:
        """Return a stage as far as its own settings go: what it was made from may be out of reach."""
        recipe = RECIPES[name]
        sections = [getattr(self.config, section) for section in recipe.sections]
        stage = Stage(
            name=name,
            directory=self.workdir / name,
            settings=_lines(sections),
            files=None,
            unfinished=recipe.unfinished,
            defaults=_lines([type(section)() for section in sections]),
            changes=recipe.changes,
            command=f"baichuan-jax {BUILT_BY.get(name, name)} CONFIG",
        )
        return replace(stage, inputs=(stage.started() or {}).get("inputs", {}))

    def _resolve(self, name: str) -> Stage:
        stage = self.alone(name)
        known = lambda need: stage.inputs.get(need) if self._lost(name, need) else self.stage(need).identity
        return replace(stage, inputs={need: known(need) for need in RECIPES[name].needs}, files=self._files(name))

    def _files(self, name: str) -> tuple[Path | str, ...] | None:
        """Return the files from outside the workdir that a stage reads, None where a finished one has lost them.

        So a run can be trained, say, on a machine that its corpus was not made on.
        """
        if name == "tokenizer" and self.config.tokenizer.file:
            file = Path(self.config.tokenizer.file)
            return (file,) if file.exists() or not finished_in(self.workdir / name) else None
        if name != "data":
            return ()
        try:
            return self._source_files()
        except UserError:
            if finished_in(self.workdir / name):
                return None
            raise

    def _source_files(self) -> tuple[Path | str, ...]:
        sources = (path for files in all_source_files(self.config.data.sources).values() for path in files)
        sets = (path for pattern in self.config.select.evaluation_sets.values() for path in set_files(pattern))
        return tuple(dict.fromkeys((*sources, *sets)))

    def check(self, names: tuple[str, ...]) -> None:
        """Find what would fail later in these stages and those they need, and write nothing.

        Raise UserError on a workdir of another config or of older code, on missing sources, on a stage that must be
        finished first, or on devices that do not fit.
        """
        of_this_version = self._of_this_version(names)
        needed = [name for name in RECIPES if name in self._with_needs(names)]
        complete = lambda name: self.stage(name).complete(any_version=name not in of_this_version)
        unfinished = [name for name in needed if not complete(name)]
        for need in [need for name in names for need in RECIPES[name].needs if need not in names]:
            self.stage(need).result()
        if "train" in names and "train" in unfinished:
            _module("train").check(self.config)

    def check_model(self) -> None:
        """Check that this config has a model; one that takes no step has its parameters from elsewhere.

        What it was trained on is not looked at. Raise UserError if there is none, it is of another config, or it does
        not fit the devices.
        """
        if not self.config.train.steps:
            return
        self.alone("tokenizer").complete(any_version=True)
        train = self.alone("train")
        if train.started() is None:
            train.result()
        if not train.complete(any_version=True):
            _module("train").check(self.config)

    def _of_this_version(self, names: tuple[str, ...]) -> set[str]:
        """Return the stages that this version must have made: these, and all that those are made from that begin now.

        What was made already, or is half-made and goes on, was made from what is there.
        """
        begin = [name for name in names if not RECIPES[name].looks and not self.stage(name).kept()]
        return {*names, *self._with_needs(tuple(begin))}

    def _with_needs(self, names: tuple[str, ...]) -> set[str]:
        needs = [need for name in names for need in RECIPES[name].needs if not self._lost(name, need)]
        return {*names, *(self._with_needs(tuple(needs)) if needs else ())}

    def _lost(self, name: str, need: str) -> bool:
        """Return whether a finished stage has come here without one that it was made from, such as its corpus."""
        return finished_in(self.workdir / name) and not (self.workdir / need).exists()

    @contextmanager
    def open(self, processes: ProcessGroup = SINGLE_PROCESS) -> Iterator[None]:
        """Make the workdir this run's own while the block runs, and saves the config there.

        Raise UserError if it cannot be written, or another run is at work there.
        """
        with ExitStack() as stack:
            processes.on_primary(lambda: stack.enter_context(self._own()))
            yield

    @contextmanager
    def _own(self) -> Iterator[None]:
        try:
            self.workdir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"RunConfig.workdir = {self.config.workdir!r}: no directory ({error.strerror})") from error
        with exclusive(self.workdir / LOCK):
            write_text(self.workdir / CONFIG, self._text)
            yield

    def run(self, name: str, processes: ProcessGroup = SINGLE_PROCESS) -> tuple[dict, bool]:
        """Build a stage unless it is complete; return (result, whether it was skipped)."""
        build = _module(name).build
        return self.stage(name).run(lambda directory: build(self.config, self.workdir, directory), processes)


def _lines(sections: list[Any]) -> tuple[str, ...]:
    return tuple(line for section in sections for part in parts(section) for line in settings(part))


def _module(name: str) -> ModuleType:
    """Import a stage only when it runs: most bring jax in."""
    return import_module(f"baichuan_jax.cli.stages.{name}")
