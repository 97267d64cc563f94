"""The workdir of a run: its files, the workdirs of the runs that it is based on, and where it has been moved to."""

from __future__ import annotations

import re
from ast import literal_eval
from pathlib import Path

from baichuan_jax.core.errors import UserError, require
from baichuan_jax.recipe.table import STAGES

CONFIG, LOCK = "config.gin", ".lock"


def is_workdir(folder: Path) -> bool:
    """Return whether a folder is the workdir of a run. That of an import is not: its run is a folder inside."""
    return any((folder / stage / "started.json").is_file() for stage in STAGES)


def bases(workdir: Path, base: str) -> tuple[Path, ...]:
    """Return the workdirs that a run may take stages from: its base, the base of that, and so on.

    base: RunConfig.base. Raise UserError if there is no run; one that only a base names may be gone.
    """
    require(Path(base).resolve() != workdir.resolve(), "RunConfig.base", base, "another run than RunConfig.workdir")
    found = [workdir]
    while base and (place := _find(base, found[-1])) and place.resolve() not in [known.resolve() for known in found]:
        found.append(place)
        base = _base_of(place)
    if len(found) == 1:
        raise UserError(
            f"RunConfig.base = {base!r}: no run is there ({CONFIG} is missing), nor beside {workdir}; put it back (for "
            f"a trained model its {CONFIG} and tokenizer/ will do), or name where it is. With RunConfig.base='' its "
            "stages are made here"
        )
    return tuple(found[1:])


def _find(base: str, workdir: Path) -> Path | None:
    """Return the workdir of a base as it is named, or beside that of the run: both may have been moved."""
    beside = workdir.absolute().parent / Path(base).name
    places = [Path(base), *([beside] if beside.resolve() != workdir.resolve() else [])]
    return next((place for place in places if (place / CONFIG).is_file()), None)


def _base_of(workdir: Path) -> str:
    """Return the base of a run, also of one whose config is of other code."""
    line = re.search(r"^RunConfig\.base = (.+)$", (workdir / CONFIG).read_text(encoding="utf-8"), re.MULTILINE)
    return literal_eval(line[1]) if line else ""
