"""The stages of one config in its workdir: what is complete, what has to be built, and who may write there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from baichuan_jax.config.literal import gin_text, parts, settings
from baichuan_jax.core.disk import mendable_writes
from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import write_text
from baichuan_jax.core.lock import exclusive, is_held
from baichuan_jax.core.process_group import SINGLE_PROCESS, ProcessGroup
from baichuan_jax.core.stage import Stage, finished_in
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.recipe.table import STAGES, made_from, model_stage, needs_of
from baichuan_jax.recipe.workdir import CONFIG, LOCK, bases


class Pipeline:
    """The stages of one config: in its workdir, or in that of its base.

    made_here, passed_over, redo: why a stage is not taken from the base, why it is taken from a base of the base, and
    why it is made again, by its name.
    """

    def __init__(self, config: RunConfig):
        self.config = config
        self.workdir = Path(config.workdir)
        self.made_here: dict[str, str] = {}
        self.passed_over: dict[str, str] = {}
        self.redo: dict[str, str] = {}
        self._stages: dict[str, Stage] = {}
        self._places: dict[str, Path] = {}

    def stage(self, name: str) -> Stage:
        """Return a stage with everything it depends on resolved."""
        if name not in self._stages:
            self._stages[name] = self._resolve(name, self.place(name))
        return self._stages[name]

    def refresh(self) -> None:
        """Look at the workdir and the source files anew from here on."""
        self._stages.clear()
        self._places.clear()
        for name in ("_bases", "_made_from"):
            self.__dict__.pop(name, None)

    def place(self, name: str) -> Path:
        """Return the directory of a stage: of this run, or of a base that has it finished."""
        if name not in self._places:
            self._places[name] = self._find(name)
        return self._places[name]

    def taken(self, name: str) -> Path | None:
        """Return the workdir of the run that a stage is taken from, None if it is of this one."""
        return None if self.place(name).parent == self.workdir else self.place(name).parent

    def _find(self, name: str) -> Path:
        """Return where a stage is: what is here stays; then what this run was made from; then what agrees."""
        here, shared = self.workdir / name, bool(self.config.base) and STAGES[name].shared
        if not shared or name in self.redo or self._alone(name, here).kept():
            return here
        if name in self._made_from:
            return self._made_from[name]
        reasons: list[str] = []
        for workdir in self._bases:
            if not (why := self._why_not(name, workdir)):
                if others := [reason for reason in reasons if " has another" in reason]:
                    self.passed_over[name] = "; ".join(others)
                return workdir / name
            reasons.append(f"{workdir} has {why}")
        self.made_here[name] = "; ".join(reasons)
        return here

    @cached_property
    def _bases(self) -> tuple[Path, ...]:
        return bases(self.workdir, self.config.base) if self.config.base else ()

    @cached_property
    def _made_from(self) -> dict[str, Path]:
        """Return {stage: its directory} of what the bases have that stages of this run were made from."""
        found: dict[str, Path] = {}
        inputs: set[tuple[str, str]] = set()
        for name in reversed(STAGES):
            here, *there = (self._alone(name, workdir / name) for workdir in (self.workdir, *self._bases))
            for stage in [here] if here.kept() else there:
                if stage is here or (finished_in(stage.directory) and (name, stage.identity_there()) in inputs):
                    found[name] = stage.directory
                    inputs |= set(stage.inputs.items())
                    break
        return found

    def _why_not(self, name: str, workdir: Path) -> str:
        """Return why a stage of another run cannot stand for that of this one, "" if it can."""
        directory = workdir / name
        if not finished_in(directory):
            at_work = " yet, and a process is at work there" if is_held(workdir / LOCK) else ""
            return f"not finished it{at_work}" if directory.is_dir() else f"none{at_work}"
        differences = self._resolve(name, directory).differences()
        return f"another: {'; '.join(differences[:3])}" if differences else ""

    def alone(self, name: str) -> Stage:
        """Return a stage as far as its own settings go: what it was made from may be out of reach."""
        return self._alone(name, self.place(name))

    def _alone(self, name: str, directory: Path) -> Stage:
        spec = STAGES[name]
        stage = Stage(
            name=name,
            directory=directory,
            settings=_lines(part for part in parts(self.config) if type(part) in spec.sections),
            files=None,
            unfinished=spec.unfinished,
            checkpointed=spec.checkpointed,
            follows=spec.reads_only,
            defaults=_lines(section() for section in spec.sections),
            changes=spec.changes,
            command=f"baichuan-jax {spec.verb or name} CONFIG",
            config=str(directory.parent / CONFIG),
            again=lambda: self._again(name),
            anew=name in self.redo,
        )
        return replace(stage, inputs=(stage.started() or {}).get("inputs", {}))

    def _again(self, name: str) -> str:
        """Return how a stage is made again, and what that would make again of the others, with what they took."""
        told = []
        for stage in (self._alone(each, self.workdir / each) for each in (name, *made_from(name, self.config))):
            if finished_in(stage.directory):
                told.append(f"{stage.name} ({stage.result()['seconds']:.0f} s)")
            elif stage.kept():
                told.append(f"{stage.name} (step {stage.reached})")
            elif stage.name == name:
                told.append(f"{name} (in {self.workdir})")
        return f"make again with --redo: {', '.join(told)}"

    def _resolve(self, name: str, directory: Path) -> Stage:
        stage = self._alone(name, directory)
        inputs = {}
        for need in needs_of(name, self.config):
            if not self._lost(name, directory, need):
                inputs[need] = self.stage(need).identity
            elif need in stage.inputs:
                inputs[need] = stage.inputs[need]
        return replace(stage, inputs=inputs, files=self._files(name, directory))

    def _files(self, name: str, directory: Path) -> tuple[Path | str, ...] | None:
        """Return the files from outside the workdir that a stage reads, None where a finished one has lost them.

        So a run can be trained, say, on a machine that its corpus was not made on.
        """
        finished = finished_in(directory)
        try:
            files = STAGES[name].files(self.config)
        except UserError:
            if finished:
                return None
            raise
        lost = any(isinstance(file, Path) and not file.exists() for file in files)
        return None if finished and lost else files

    def check(self, names: Iterable[str]) -> None:
        """Find what would fail later in these stages and those they need, and write nothing.

        Raise UserError on a workdir of another config or of older code, on missing sources, on a stage that must be
        finished first, on a base that is not there, or on devices that do not fit.
        """
        names = tuple(names)
        of_this_version, made = self._of_this_version(names), self._made(names)
        unfinished = []
        for name in [name for name in STAGES if name in self._with_needs(names)]:
            uses = None if name in made else STAGES[name].shapes
            stage = self.stage(name) if name in of_this_version else self._whatever_the_sources(name)
            if not stage.complete(any_version=name not in of_this_version, uses=uses):
                unfinished.append(name)
        for each, need in [(name, need) for name in names for need in needs_of(name, self.config) if need not in names]:
            if each in unfinished or not self._lost(each, self.place(each), need):
                self._require_finished(need)
        for name in names:
            if name in unfinished:
                STAGES[name].check(self.config)

    def _require_finished(self, name: str) -> None:
        """Raise UserError unless a stage is finished, with why it is not taken from the base."""
        stage = self.alone(name)
        if (why := self.made_here.get(name)) and not finished_in(stage.directory):
            raise UserError(
                f"stage {name!r} cannot be taken from RunConfig.base: {why}; set the base's values, or make it here "
                f"first: {stage.command}"
            )
        stage.result()

    def check_model(self) -> None:
        """Check that this config has a model; one that takes no step has its parameters from elsewhere.

        What it was trained on may be gone. Raise UserError if there is no model, it is of another config, it does not
        fit the devices, or its tokenizer is another one by now.
        """
        name = model_stage(self.config)
        if name == "train" and not self.config.train.steps:
            return
        stage = self.alone(name)
        if stage.started() is None:
            stage.result()
        if not stage.complete(any_version=True, uses=STAGES[name].shapes):
            STAGES[name].check(self.config)
        self.check_tokens()

    def check_tokens(self) -> None:
        """Raise UserError if a model was trained on other tokens than are there, so with another tokenizer."""
        train, tokens = self.alone("train"), self.alone("tokens")
        if finished_in(tokens.directory) and train.kept() and tokens.identity_there() != train.inputs["tokens"]:
            raise UserError(
                f"{train.directory} was trained on other tokens than those in {tokens.directory}, so with another "
                "tokenizer; put back the data, tokenizer and tokens that it was made from (RunConfig.base may name "
                "them), or train anew with --redo"
            )

    def redo_changed(self, names: Iterable[str]) -> None:
        """Have those of these stages made again that were made from something else."""
        for name in [name for name in STAGES if name in names and self.stage(name).started() is not None]:
            stage = self.stage(name)
            try:
                stage.complete()
            except UserError:
                self.redo[name] = "; ".join(stage.differences()[:3])
                self.refresh()

    def _whatever_the_sources(self, name: str) -> Stage:
        """Return a stage as those see it that were made from it: changes of its source files since do not matter."""
        return replace(self.stage(name), files=None)

    def due(self, name: str) -> tuple[str, ...]:
        """Return a stage, after those that have to be finished before it."""
        found, waiting = {name}, [name]
        while waiting:
            stage = waiting.pop()
            if self.stage(stage).complete(any_version=True):
                continue
            uses = {
                need: STAGES[need].shapes if STAGES[stage].reads_only else None for need in needs_of(stage, self.config)
            }
            needs = {need for need in uses if not self._whatever_the_sources(need).complete(True, uses[need])} - found
            found |= needs
            waiting += needs
        return tuple(each for each in STAGES if each in found)

    def _of_this_version(self, names: tuple[str, ...]) -> set[str]:
        """Return the stages that this version must have made: these, and all that those are made from that begin now.

        What was made already, or is half-made and goes on, was made from what is there.
        """
        begin = [name for name in names if not STAGES[name].reads_only and not self.stage(name).kept()]
        return {*names, *self._with_needs(tuple(begin))}

    def _made(self, names: tuple[str, ...]) -> set[str]:
        """Return the stages that must be of this config: these, and all that those are made from that make a model."""
        return {*names, *self._with_needs(tuple(name for name in names if not STAGES[name].reads_only))}

    def _with_needs(self, names: tuple[str, ...]) -> set[str]:
        needs = [
            need
            for name in names
            for need in needs_of(name, self.config)
            if not self._lost(name, self.place(name), need)
        ]
        return {*names, *(self._with_needs(tuple(needs)) if needs else ())}

    def _lost(self, name: str, directory: Path, need: str) -> bool:
        """Return whether a finished stage has come here without one that it was made from, such as its corpus."""
        if not finished_in(directory) or need not in self._alone(name, directory).inputs:
            return False
        return not any((workdir / need).exists() for workdir in (self.workdir, *self._bases))

    @contextmanager
    def open(self, names: Iterable[str], processes: ProcessGroup = SINGLE_PROCESS) -> Iterator[None]:
        """Make the workdir this run's own while the block builds these stages, and save the config there.

        Raise UserError if it cannot be written, or another run is at work there.
        """
        with ExitStack() as stack:
            processes.on_primary(lambda: stack.enter_context(self._own(tuple(names))))
            yield

    @contextmanager
    def _own(self, names: tuple[str, ...]) -> Iterator[None]:
        try:
            self.workdir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"RunConfig.workdir = {self.config.workdir!r}: no directory ({error.strerror})") from error
        with exclusive(self.workdir / LOCK), mendable_writes("the run", self.workdir):
            write_text(self.workdir / CONFIG, self._text(names))
            yield

    def _text(self, names: tuple[str, ...]) -> str:
        """Return the config as gin text; stages that are there and are not built have what they were made with."""
        others = [self.alone(name) for name in STAGES if name not in names]
        made = {name: value for stage in others if stage.kept() for name, value in stage.made_with().items()}
        pairs = (line.partition(" = ") for line in gin_text(self.config).splitlines())
        return "".join(f"{name}{equals}{made.get(name, value)}\n" for name, equals, value in pairs)


def _lines(sections: Iterable[Any]) -> tuple[str, ...]:
    return tuple(line for section in sections for part in parts(section) for line in settings(part))
