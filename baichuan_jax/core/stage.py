"""Stages: pure functions of a config and inputs whose outputs outlive the process.

A stage directory holds `started.json` (what the stage is made from, written first), its outputs, `result.json`,
and `manifest.json` (written last, with the versions, the revision of the code and the memory of the process). Only a
directory with a manifest is trusted; one without is continued or redone.

Both files also hold the stage's name and the version of its code. That is raised when the output changes for the same
config, so what older code made is not taken for what this code makes. A directory that names no version is of the first
one.
"""

from __future__ import annotations

import platform
import shutil
import time
from collections import Counter
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from baichuan_jax.core.checkpointed import Change, Changed, Checkpointed, merged, words
from baichuan_jax.core.disk import mendable_writes
from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import digest, fingerprint, read_json, write_json, write_text
from baichuan_jax.core.machine import peak_process_memory
from baichuan_jax.core.process_group import SINGLE_PROCESS, ProcessGroup
from baichuan_jax.core.renamed import RENAMED
from baichuan_jax.core.revision import code_revision

DIFF = "code.diff"  # what was changed in the code since its commit
PACKAGES = ("baichuan-jax", "jax", "flax", "optax", "orbax-checkpoint", "grain", "sentencepiece", "numpy")


@dataclass(frozen=True)
class Stage:
    """One step of the recipe in a workdir.

    directory: where it writes. settings: config lines it depends on ("TrainConfig.steps = 300").
    inputs: {stage name: identity} of the stages it reads. files: source files outside the workdir, those on other
    storage by their URLs; None where they are out of reach, which only a finished stage can do without.
    unfinished: what becomes of a half-finished directory. "redo": it is emptied; "resume": it is handed to the stage
    again if it was made from the same, else emptied.
    checkpointed: how it goes on from its checkpoints, if it has any: one with a checkpoint is never emptied.
    follows: whether it is redone when its inputs are not those it was made from, in place of a refusal.
    defaults: the lines of `settings` as they are by default. Older code lacks some of them: it had no such setting.
    changes: what became of the output when it changed, a phrase for each version after the first.
    command, config, again: what runs it, the config file of what is there, how it is made again, for whoever is told.
    anew: whether what is there is to be made again, from whatever it was made.
    """

    name: str
    directory: Path
    settings: tuple[str, ...]
    inputs: dict[str, str] = field(default_factory=dict)
    files: tuple[Path | str, ...] | None = ()
    unfinished: Literal["redo", "resume"] = "redo"
    checkpointed: Checkpointed | None = None
    follows: bool = False
    defaults: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    command: str = ""
    config: str = ""
    again: Callable[[], str] | None = None
    anew: bool = False

    @property
    def version(self) -> int:
        """Return the number of the code's output, from 1."""
        return 1 + len(self.changes)

    def started(self) -> dict | None:
        """Return what the directory was started from, or None if nothing (whole) is there."""
        path = self.directory / "started.json"
        return read_json(path) if path.exists() else None

    def complete(self, any_version: bool = False, uses: Container[str] | None = None) -> bool:
        """Return whether all of it is there. Raise UserError if what is there was made from something else.

        What another stage has made, or only begun, is refused.
        An unfinished directory without a checkpoint holds nothing of worth: it may be made from anything.
        any_version: whether what another version of the stage has made will do. uses: the settings that whoever reads
        it depends on: whatever it was made from else, and how far it was to go, is left as it is.
        """
        started, finished = self.started(), finished_in(self.directory)
        if started is None:
            if self.directory.is_dir() and any(self.directory.iterdir()):
                raise UserError(f"{self.directory} holds files that no run has made; choose another directory")
            return False
        if started.get("stage", self.name) != self.name:  # older code did not name it
            raise UserError(
                f"{self.directory} holds the output of stage {started['stage']!r}, not of {self.name!r}; choose "
                f"another directory, or {self._how_again()}"
            )
        if not self.kept():
            return False
        if not any_version and _version(started) != self.version:
            raise UserError(self._of_another_version(_version(started)))
        changed = self._changed(started)
        used = {name: change for name, change in changed.items() if uses is None or name in uses}
        refused, inputs = self._refused(used), _other_inputs(started["inputs"], self.inputs)
        if inputs and not refused and self.follows:
            return False
        if differences := [*refused, *inputs, *(self._other_files(started) if uses is None else ())]:
            raise UserError(self._of_another_config(differences))
        if self.checkpointed and uses is None:
            finished &= not self.checkpointed.goes_on(self.directory, changed, finished, self.config)
        return finished

    def kept(self) -> bool:
        """Return whether what is there stays: it is finished, or has a checkpoint to go on from."""
        there = finished_in(self.directory) or (self.started() is not None and self.reached > 0)
        return there and not self.anew

    def made_with(self) -> dict[str, str]:
        """Return the settings of what is there, by name."""
        return _by_name((self.started() or {}).get("settings", ()))

    @property
    def reached(self) -> int:
        """Return the step of its newest checkpoint, 0 without one."""
        return self.checkpointed.reached(self.directory) if self.checkpointed else 0

    def _of_another_config(self, differences: list[str]) -> str:
        """Return what to say of a directory that was made from something else."""
        as_it_is = f" (its own settings are in {self.config})" if self.config else ""
        other = f" {self.checkpointed.advice.format(self.directory)}" if self.checkpointed else ""
        return (
            f"{self.directory} was made with another config: {'; '.join(differences[:5])}. Choose another directory "
            f"(of a run: --set RunConfig.workdir=...), restore the old value{as_it_is}, or {self._how_again()}.{other}"
        )

    def _how_again(self) -> str:
        return self.again() if self.again else f"delete {self.directory} to make it again"

    def _of_another_version(self, old: int) -> str:
        """Return what to say of a directory that another version has made."""
        made = f"{self.directory} was made by version {old} of stage {self.name!r}"
        if old < self.version:
            changed = "; ".join(self.changes[old - 1 :])
            why = f"{made}, and version {self.version} makes something else of the same config: {changed}. "
        else:
            why = f"{made}, and this code is older: it has version {self.version}. Upgrade it. "
        if not finished_in(self.directory):
            why += "It is half-made: finish it with the code that began it. "
        return f"{why}Choose another directory (of a run: --set RunConfig.workdir=...), or {self._how_again()}"

    def differences(self) -> list[str]:
        """Return how what was begun there differs from what this stage makes, in words; [] if in nothing."""
        started = read_json(self.directory / "started.json")
        old = _version(started)
        of_code = [f"version {old} of the code made it, this is version {self.version}"] if old != self.version else []
        on_the_way = [
            f"{change['setting']} changed after step {change['step']}" for change in started.get("changes", [])
        ]
        inputs = _other_inputs(started["inputs"], self.inputs)
        return [*of_code, *words(self._changed(started)), *on_the_way, *inputs, *self._other_files(started)]

    def _changed(self, started: dict) -> Changed:
        """Return the settings that are not those a directory was made from: {name: (before, now)}."""
        before, now = _by_name(started["settings"]), _by_name(self.settings)
        if _version(started) != self.version:  # it may have other settings: those that both have are compared
            now = {name: value for name, value in now.items() if name in before}
            before = {name: value for name, value in before.items() if name in now}
        else:
            sections = {_section(name) for name in before}
            new_fields = [name for name in now if name not in before and _section(name) in sections]
            defaults = _by_name(self.defaults)
            before |= {name: defaults[name] for name in new_fields if name in defaults}
        names = [*before, *(name for name in now if name not in before)]
        pairs = {name: (before.get(name), now.get(name)) for name in names}
        return {name: (old, new) for name, (old, new) in pairs.items() if old != new}

    def _refused(self, changed: Changed) -> list[str]:
        """Return, in words, the settings that may not change."""
        may = (*self.checkpointed.recorded, *self.checkpointed.free) if self.checkpointed else ()
        return words({name: change for name, change in changed.items() if name not in may})

    def _other_files(self, started: dict) -> list[str]:
        """Return, in words, the source files that are not those a directory was made from."""
        found, made_from = [], self.made_from(started["files"])
        before, after = (Counter(_contents(made["files"])) for made in (started, made_from))
        gone, new = ({name for name, _ in files} for files in (before - after, after - before))
        for name in sorted(gone | new):
            change = "has changed" if name in gone & new else "is new" if name in new else "is gone"
            found.append(f"source file {name} {change} since")
        return found

    def made_from(self, known_files: dict | None = None) -> dict[str, Any]:
        """Return everything the outputs depend on, as JSON values."""
        files = known_files or {} if self.files is None else fingerprint(self.files, known_files)
        made_by = {"stage": self.name, "version": self.version}
        return {**made_by, "settings": list(self.settings), "inputs": self.inputs, "files": files}

    def run(self, build: Callable[[Path], dict], processes: ProcessGroup = SINGLE_PROCESS) -> tuple[dict, bool]:
        """Call `build(directory)` unless already complete; return (result, whether it was skipped).

        Every one of the processes builds; the result is that of the first.
        """
        if self.complete():
            return self.result(), True
        with mendable_writes(f"stage {self.name!r}", self.directory):
            processes.on_primary(self._begin)
            start = time.monotonic()
            result = build(self.directory)
            result = {"stage": self.name, "seconds": round(time.monotonic() - start, 2), **result}
            processes.on_primary(lambda: self._finish(result))
            return result, False

    def draft(self) -> Path:
        """Return the directory to write in what there is by now: the stage is begun, and stays unfinished."""
        self._begin()
        (self.directory / "manifest.json").unlink(missing_ok=True)
        return self.directory

    def _begin(self) -> None:
        """Prepare the directory to build in: empty, or with what can be continued."""
        if self.checkpointed and self.kept():
            return  # until `goes_on_from` it is as it was
        started = self.started()
        made_from = self.made_from((started or {}).get("files"))
        if self.directory.exists() and not (self.unfinished == "resume" and self._same(started)):
            shutil.rmtree(self.directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        write_json(self.directory / "started.json", made_from)

    def _same(self, started: dict | None) -> bool:
        """Return whether a directory was started from what this stage is made from, by the same code."""
        if started is None or _version(started) != self.version or self._changed(started):
            return False
        return not _other_inputs(started["inputs"], self.inputs) and not self._other_files(started)

    def goes_on_from(self, step: int, write: bool = True) -> list[Change]:
        """Record which settings change as it goes on from the checkpoint of a step; return all the changes so far.

        To be called once the checkpoint has been read. It may be older than the newest, which then cannot be read: a
        change that was recorded later takes effect here. write: false in all processes but the first.
        """
        started = self.started()
        if not (started and step and self.checkpointed):
            return []
        now: list[Change] = [
            {"step": step, "setting": name, "before": before or "", "after": after or ""}
            for name, (before, after) in self._changed(started).items()
            if name in self.checkpointed.recorded
        ]
        found = merged([{**change, "step": min(change["step"], step)} for change in started.get("changes", [])] + now)
        if write:
            for name in ("manifest.json", "result.json"):
                (self.directory / name).unlink(missing_ok=True)
            made_from = self.made_from(started["files"])
            write_json(self.directory / "started.json", made_from | ({"changes": found} if found else {}))
        return found

    def _finish(self, result: dict) -> None:
        write_json(self.directory / "result.json", result)
        made_from, code = read_json(self.directory / "started.json"), code_revision()
        if code.changes:
            write_text(self.directory / DIFF, code.changes)
        made_by = {"versions": versions(), "code": code.record(), "peak_host_memory_bytes": peak_process_memory()}
        write_json(self.directory / "manifest.json", {**made_from, **made_by, "result": result})

    def result(self) -> dict:
        """Return the result of a finished stage."""
        path = self.directory / "result.json"
        if not path.exists():
            first = f"run `{self.command}` first" if self.command else "run it first"
            raise UserError(f"stage {self.name!r} has not finished: {path} is missing; {first}")
        return read_json(path)

    def identity_there(self) -> str | None:
        """Return the identity of what is there, from whatever it was made; None if nothing is."""
        started = self.started()
        return None if started is None else _identity_of(started)

    @cached_property
    def identity(self) -> str:
        """Return a digest of everything the outputs depend on; of source files the names and contents, not the places.

        Of finished outputs that stay it is what they were made from.
        """
        started = self.started() or {}
        stays = finished_in(self.directory) and not self.anew
        if stays and not (self.follows and _other_inputs(started["inputs"], self.inputs)):
            return _identity_of(started)
        return _identity_of(self.made_from(started.get("files")))


def finished_in(directory: Path) -> bool:
    """Return whether a stage was finished there, from whatever it was made."""
    return (directory / "manifest.json").exists()


def _identity_of(made: dict) -> str:
    of_code = {} if _version(made) == 1 else {"version": made["version"]}  # as before there were versions
    of_code |= {"changes": made["changes"]} if made.get("changes") else {}
    inner = {"settings": made["settings"], "inputs": made["inputs"], "files": _contents(made["files"])}
    return digest(repr({**of_code, **inner}))


def _version(started: dict) -> int:
    """Return the version of the code that began a directory."""
    return started.get("version", 1)  # before there were numbers


def _other_inputs(before: dict[str, str], after: dict[str, str]) -> list[str]:
    changed = [name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]
    return [f"its input, stage {name!r}, is not the one it was made from" for name in changed]


def _contents(files: dict[str, dict]) -> list[tuple[str, str]]:
    return sorted((Path(path).name, entry["sha256"]) for path, entry in files.items())


def _by_name(settings: Iterable[str]) -> dict[str, str]:
    pairs = (line.split(" = ", 1) for line in settings)
    return {RENAMED.get(name, name): value for name, value in pairs}


def _section(setting: str) -> str:
    return setting.partition(".")[0]


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that shape results."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found
