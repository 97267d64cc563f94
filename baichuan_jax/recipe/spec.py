"""The declaration of a stage: one object that holds all that the rest of the program knows of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, Self, TypeVar

from baichuan_jax.core.checkpointed import Checkpointed
from baichuan_jax.core.errors import UserError

if TYPE_CHECKING:
    from baichuan_jax.lab.markup import Html
    from baichuan_jax.lab.page import Canvas
    from baichuan_jax.lab.run_files import RunRecord
    from baichuan_jax.recipe.run import Run
    from baichuan_jax.recipe.run_config import RunConfig


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """The result of a stage. Its fields are the keys of `result.json`, without those that are None.

    stage, seconds: set when the stage has finished.
    """

    stage: str = ""
    seconds: float = 0.0

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Self:
        """Return the result that a record holds; what other code has put there is left out.

        Raise UserError if older code has left something out.
        """
        known = {field.name: field for field in fields(cls)}
        needed = [
            name for name, field in known.items() if field.default is MISSING and field.default_factory is MISSING
        ]
        if missing := [name for name in needed if name not in record]:
            raise UserError(
                f"the result of stage {record.get('stage')!r} is of other code: no {', '.join(missing)} in it"
            )
        return cls(**{name: value for name, value in record.items() if name in known})

    def as_record(self) -> dict[str, Any]:
        """Return what the stage has found, as JSON values."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in found.items() if name not in ("stage", "seconds") and value is not None}


class Grid(NamedTuple):
    """A table for the terminal."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""


class ReportSection(NamedTuple):
    """A section of the report page. order: sections stand by it, from the smallest."""

    heading: str
    write: Callable[[RunRecord, Canvas], list[Html]]
    order: int = 50


R = TypeVar("R", bound=StageResult)


@dataclass(frozen=True)
class StageSpec(Generic[R]):
    """A stage of the recipe.

    result: type of what `build(run, directory)` returns; None in a process that is not the first of several.
    summary: the result in a line. help: of the verb that builds the stage.
    sections: config sections that shape the result, by their class. One that `RunConfig` lacks becomes a section of
    it. Mesh, axis rules, compilation cache, retention, profile, Weights & Biases, runner and engine shape no result,
    and are not named.
    needs: the stages it reads, which may depend on the config; None: all before it that no other one reads.
    table: the result as a table for the terminal. report: its section of the report page.
    files: the files outside the workdir that it reads. check: raises UserError if this machine cannot build it.
    wanted: whether a config has this stage; without it, stages that read it do without.
    verb: the verb that builds it, if not the one of its name.
    unfinished, checkpointed: as `core.stage.Stage` has them. multi_process: whether several processes may build it.
    reads_only: whether it only reads a model, which any version may have made, and from whatever: of the settings of
    the stages before it only those in `shapes` matter. It is redone when the model has gone on.
    shared: whether a run may take it from its base; one that tells of the run itself may not.
    shapes: settings without which nothing can read what the stage makes.
    changes: what became of the output when it changed; their number is the version of the stage. Add a phrase whenever
    the stage writes something else for the same config and inputs, so that nobody gets what older code has made.
    """

    name: str
    result: type[R]
    build: Callable[[Run, Path], R | None]
    summary: Callable[[R], str]
    help: str = ""
    sections: tuple[type, ...] = ()
    needs: tuple[str, ...] | Callable[[RunConfig], tuple[str, ...]] | None = ()
    table: Callable[[R], Grid] | None = None
    report: ReportSection | None = None
    files: Callable[[RunConfig], tuple[Path | str, ...]] = lambda config: ()
    check: Callable[[RunConfig], None] = lambda config: None
    wanted: Callable[[RunConfig], bool] = lambda config: True
    verb: str = ""
    unfinished: Literal["redo", "resume"] = "redo"
    checkpointed: Checkpointed | None = None
    shapes: frozenset[str] = frozenset()
    multi_process: bool = False
    reads_only: bool = False
    shared: bool = True
    changes: tuple[str, ...] = ()
