"""Stages: pure functions of a config and inputs whose outputs outlive the process.

A stage directory holds `started.json` (what the stage is made from, written first), its outputs, `result.json`,
and `manifest.json` (written last). Only a directory with a manifest is trusted; one without is continued or redone.

Both files also hold the version of the stage's code. It is raised when the output changes for the same config, so what
older code made is not taken for what this code makes. A directory that names no version is of the first one.
"""

from __future__ import annotations

import platform
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import digest, fingerprint, read_json, write_json
from baichuan_jax.core.process_group import SINGLE_PROCESS, ProcessGroup
from baichuan_jax.core.renamed import RENAMED

PACKAGES = ("baichuan-jax", "jax", "flax", "optax", "orbax-checkpoint", "grain", "sentencepiece", "numpy")


@dataclass(frozen=True)
class Stage:
    """One step of the recipe in a workdir.

    directory: where it writes. settings: config lines it depends on ("TrainConfig.steps = 300").
    inputs: {stage name: identity} of the stages it reads. files: source files outside the workdir, those on other
    storage by their URLs; None where they are out of reach, which only a finished stage can do without.
    unfinished: what becomes of a half-finished directory. "redo": it is emptied; "resume": it is handed to the stage
    again if it was made from the same, else emptied; "keep": likewise, but from something else it is refused.
    defaults: the lines of `settings` as they are by default. Older code lacks some of them: it had no such setting.
    changes: what became of the output when it changed, a phrase for each version after the first.
    command: what runs it, for whoever is told to.
    """

    name: str
    directory: Path
    settings: tuple[str, ...]
    inputs: dict[str, str] = field(default_factory=dict)
    files: tuple[Path | str, ...] | None = ()
    unfinished: Literal["redo", "resume", "keep"] = "redo"
    defaults: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    command: str = ""

    @property
    def version(self) -> int:
        """Return the number of the code's output, from 1."""
        return 1 + len(self.changes)

    def started(self) -> dict | None:
        """Return what the directory was started from, or None if nothing (whole) is there."""
        path = self.directory / "started.json"
        return read_json(path) if path.exists() else None

    def complete(self, any_version: bool = False) -> bool:
        """Return whether a finished manifest is there. Raise UserError if what is there was made from something else.

        An unfinished directory that is not to be kept holds nothing of worth: it may be made from anything.
        any_version: whether what another version of the stage has made will do.
        """
        started, finished = self.started(), finished_in(self.directory)
        if started is None:
            if self.directory.is_dir() and any(self.directory.iterdir()):
                raise UserError(f"{self.directory} holds files that no run has made; choose another directory")
            return False
        if not finished and self.unfinished != "keep":
            return False
        if not any_version and _version(started) != self.version:
            raise UserError(self._of_another_version(_version(started)))
        if differences := self._differences(started):
            raise UserError(
                f"{self.directory} was made with another config: {'; '.join(differences[:5])}. Choose another "
                "directory (of a run: --set RunConfig.workdir=...), restore the old value, or delete "
                f"{self.directory} to redo this stage and those after it"
            )
        return finished

    def kept(self) -> bool:
        """Return whether what is there stays: it is finished, or it is half-made and never to be emptied."""
        return finished_in(self.directory) or (self.unfinished == "keep" and self.started() is not None)

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
        anew = f"delete {self.directory} to redo it and what was made from it"
        return f"{why}You can {anew}, or choose another directory (of a run: --set RunConfig.workdir=...)"

    def differences(self) -> list[str]:
        """Return how what was begun there differs from what this stage makes, in words; [] if in nothing."""
        started = read_json(self.directory / "started.json")
        old = _version(started)
        of_code = [f"version {old} of the code made it, this is version {self.version}"] if old != self.version else []
        return of_code + self._differences(started)

    def _differences(self, started: dict) -> list[str]:
        """Return what a directory was made from that is not so now, in words, but for the version of the code."""
        new = self.made_from(started["files"])
        before, after = _by_name(started["settings"]), _by_name(new["settings"])
        if _version(started) != self.version:  # it may have other settings: those that both have are compared
            after = {name: value for name, value in after.items() if name in before}
            before = {name: value for name, value in before.items() if name in after}
        else:
            sections = {_section(name) for name in before}
            new_fields = [name for name in after if name not in before and _section(name) in sections]
            defaults = _by_name(self.defaults)
            before |= {name: defaults[name] for name in new_fields if name in defaults}
        return _changed(before, after) + _other_inputs(started["inputs"], new["inputs"]) + _other_files(started, new)

    def made_from(self, known_files: dict | None = None) -> dict[str, Any]:
        """Return everything the outputs depend on, as JSON values."""
        files = known_files or {} if self.files is None else fingerprint(self.files, known_files)
        return {"version": self.version, "settings": list(self.settings), "inputs": self.inputs, "files": files}

    def run(self, build: Callable[[Path], dict], processes: ProcessGroup = SINGLE_PROCESS) -> tuple[dict, bool]:
        """Call `build(directory)` unless already complete; return (result, whether it was skipped).

        Every one of the processes builds; the result is that of the first.
        """
        if self.complete():
            return self.result(), True
        processes.on_primary(self._begin)
        start = time.monotonic()
        result = build(self.directory)
        result = {"stage": self.name, "seconds": round(time.monotonic() - start, 2), **result}
        processes.on_primary(lambda: self._finish(result))
        return result, False

    def _begin(self) -> None:
        """Prepare the directory to build in: empty, or with what can be continued."""
        started = self.started()
        made_from = self.made_from((started or {}).get("files"))
        same = started is not None and _version(started) == self.version and not self._differences(started)
        if self.directory.exists() and (self.unfinished == "redo" or not same):
            shutil.rmtree(self.directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        write_json(self.directory / "started.json", made_from)

    def _finish(self, result: dict) -> None:
        write_json(self.directory / "result.json", result)
        made_from = read_json(self.directory / "started.json")
        write_json(self.directory / "manifest.json", {**made_from, "versions": versions(), "result": result})

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

        Of finished outputs it is what they were made from, also where older code had fewer settings.
        """
        started = self.started()
        if started is not None and finished_in(self.directory) and not self._differences(started):
            return _identity_of(started)
        return _identity_of(self.made_from((started or {}).get("files")))


def finished_in(directory: Path) -> bool:
    """Return whether a stage was finished there, from whatever it was made."""
    return (directory / "manifest.json").exists()


def _identity_of(made: dict) -> str:
    of_code = {} if _version(made) == 1 else {"version": made["version"]}  # as before there were versions
    inner = {"settings": made["settings"], "inputs": made["inputs"], "files": _contents(made["files"])}
    return digest(repr({**of_code, **inner}))


def _version(started: dict) -> int:
    """Return the version of the code that began a directory."""
    return started.get("version", 1)  # before there were numbers


def _changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    names = [*before, *(name for name in after if name not in before)]
    changed = [name for name in names if before.get(name) != after.get(name)]
    return [f"{name} was {before.get(name)}, is now {after.get(name)}" for name in changed]


def _other_inputs(before: dict[str, str], after: dict[str, str]) -> list[str]:
    changed = [name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]
    return [f"its input, stage {name!r}, is not the one it was made from" for name in changed]


def _other_files(old: dict, new: dict) -> list[str]:
    found = []
    before, after = (Counter(_contents(made["files"])) for made in (old, new))
    gone, new = ({name for name, _ in files} for files in (before - after, after - before))
    for name in sorted(gone | new):
        change = "has changed" if name in gone & new else "is new" if name in new else "is gone"
        found.append(f"source file {name} {change} since")
    return found


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
