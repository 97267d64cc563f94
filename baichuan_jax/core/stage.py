"""Stages: pure functions of a config and inputs whose outputs outlive the process.

A stage directory holds `started.json` (what the stage is made from, written first), its outputs, `result.json`,
and `manifest.json` (written last). Only a directory with a manifest is trusted; one without is continued or redone.
"""

from __future__ import annotations

import platform
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import digest, fingerprint, read_json, write_json
from baichuan_jax.core.together import ALONE, Processes

PACKAGES = ("baichuan-jax", "jax", "flax", "optax", "orbax-checkpoint", "grain", "sentencepiece", "numpy")


@dataclass(frozen=True)
class Stage:
    """One step of the recipe in a workdir.

    directory: where it writes. settings: config lines it depends on ("TrainConfig.steps = 300").
    inputs: {stage name: identity} of the stages it reads. files: source files outside the workdir, those on other
    storage by their URLs; None where they are out of reach, which only a finished stage can do without.
    unfinished: what becomes of a half-finished directory. "redo": it is emptied; "resume": it is handed to the stage
    again if it was made from the same, else emptied; "keep": likewise, but from something else it is refused.
    """

    name: str
    directory: Path
    settings: tuple[str, ...]
    inputs: dict[str, str] = field(default_factory=dict)
    files: tuple[Path | str, ...] | None = ()
    unfinished: Literal["redo", "resume", "keep"] = "redo"

    def started(self) -> dict | None:
        """Returns what the directory was started from, or None if nothing (whole) is there."""
        path = self.directory / "started.json"
        return read_json(path) if path.exists() else None

    def complete(self) -> bool:
        """True if a finished manifest is there. Raises UserError if what is there was made from something else.

        An unfinished directory that is not to be kept holds nothing of worth: it may be made from anything.
        """
        started, finished = self.started(), finished_in(self.directory)
        if started is None:
            if self.directory.is_dir() and any(self.directory.iterdir()):
                raise UserError(f"{self.directory} holds files that no run has made; choose another directory")
            return False
        if not finished and self.unfinished != "keep":
            return False
        if differences := _differences(started, self.made_from(started["files"])):
            raise UserError(
                f"{self.directory} was made with another config: {'; '.join(differences[:5])}. Choose another "
                "directory (of a run: --set RunConfig.workdir=...), restore the old value, or delete "
                f"{self.directory} to redo this stage and those after it"
            )
        return finished

    def made_from(self, known_files: dict | None = None) -> dict[str, Any]:
        """Returns everything the outputs depend on, as JSON values."""
        files = known_files or {} if self.files is None else fingerprint(self.files, known_files)
        return {"settings": list(self.settings), "inputs": self.inputs, "files": files}

    def run(self, build: Callable[[Path], dict], processes: Processes = ALONE) -> tuple[dict, bool]:
        """Calls `build(directory)` unless already complete; returns (result, whether it was skipped).

        Every one of the processes builds; the result is that of the first.
        """
        if self.complete():
            return self.result(), True
        processes.lead(self._begin)
        start = time.monotonic()
        result = build(self.directory)
        result = {"stage": self.name, "seconds": round(time.monotonic() - start, 2), **result}
        processes.lead(lambda: self._finish(result))
        return result, False

    def _begin(self) -> None:
        """Leaves the directory to build in: empty, or with what can be continued."""
        started = self.started()
        made_from = self.made_from((started or {}).get("files"))
        same = started is not None and not _differences(started, made_from)
        if self.directory.exists() and (self.unfinished == "redo" or not same):
            shutil.rmtree(self.directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        write_json(self.directory / "started.json", made_from)

    def _finish(self, result: dict) -> None:
        write_json(self.directory / "result.json", result)
        made_from = read_json(self.directory / "started.json")
        write_json(self.directory / "manifest.json", {**made_from, "versions": versions(), "result": result})

    def result(self) -> dict:
        """Returns the result of a finished stage."""
        path = self.directory / "result.json"
        if not path.exists():
            raise UserError(f"stage {self.name!r} has not finished: {path} is missing; run it first")
        return read_json(path)

    @cached_property
    def identity(self) -> str:
        """Digest of everything the outputs depend on; of source files the names and contents, not where they lie."""
        made = self.made_from((self.started() or {}).get("files"))
        made["files"] = _contents(made["files"])
        return digest(repr(made))


def finished_in(directory: Path) -> bool:
    """True if a stage was finished there, from whatever it was made."""
    return (directory / "manifest.json").exists()


def _differences(old: dict, new: dict) -> list[str]:
    """Returns readable differences between two `made_from` values."""
    found = []
    before, after = _by_name(old["settings"]), _by_name(new["settings"])
    for name in [*before, *(name for name in after if name not in before)]:
        if before.get(name) != after.get(name):
            found.append(f"{name} was {before.get(name)}, is now {after.get(name)}")
    for name in sorted(old["inputs"].keys() | new["inputs"].keys()):
        if old["inputs"].get(name) != new["inputs"].get(name):
            found.append(f"its input, stage {name!r}, is not the one it was made from")
    before, after = (Counter(_contents(made["files"])) for made in (old, new))
    gone, new = ({name for name, _ in files} for files in (before - after, after - before))
    for name in sorted(gone | new):
        change = "has changed" if name in gone & new else "is new" if name in new else "is gone"
        found.append(f"source file {name} {change} since")
    return found


def _contents(files: dict[str, dict]) -> list[tuple[str, str]]:
    return sorted((Path(path).name, entry["sha256"]) for path, entry in files.items())


def _by_name(settings: list[str]) -> dict[str, str]:
    return dict(line.split(" = ", 1) for line in settings)


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that shape results."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found
