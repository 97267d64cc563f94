"""Stage report: everything the other stages left behind, as one page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from baichuan_jax.recipe.spec import StageResult, StageSpec

if TYPE_CHECKING:
    from baichuan_jax.recipe.run import Run


@dataclass(frozen=True, kw_only=True)
class ReportResult(StageResult):
    """Where the page and its plots are."""

    page: str
    plots: list[str]


def build(run: Run, directory: Path) -> ReportResult:
    """Write report.html and its plots."""
    from baichuan_jax.lab.report import write_report
    from baichuan_jax.recipe.table import STAGES

    places = {name: run.place(name) for name in STAGES if name != REPORT.name}
    told = [(spec.report, name) for name, spec in STAGES.items() if spec.report]
    told.sort(key=lambda pair: pair[0].order)
    sections = [(section.heading, name, section.write) for section, name in told]
    return ReportResult(**write_report(run.workdir, directory, places, sections))


REPORT = StageSpec(
    "report",
    ReportResult,
    build,
    lambda result: result.page,
    help="one page of everything the run has produced",
    needs=None,
    unfinished="resume",  # a page of what there was by then, which may be written to at this moment
    reads_only=True,
    shared=False,
)
