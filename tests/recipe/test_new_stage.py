"""A stage is declared once: one that is written here, and put into the table, is a verb, has settings and a section."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from baichuan_jax.cli.main import main
from baichuan_jax.core.files import read_json
from baichuan_jax.core.settings import setting
from baichuan_jax.lab.markup import tag
from baichuan_jax.recipe import table
from baichuan_jax.recipe.load import load_config
from baichuan_jax.recipe.run import Run
from baichuan_jax.recipe.spec import Grid, ReportSection, StageResult, StageSpec
from tests.cli.small import write_config
from tests.lab.conftest import DOMAINS, SAMPLES, STEPS, results, write_metrics


@dataclass(frozen=True)
class LongestConfig:
    """Settings of the toy."""

    letters: int = setting(3, "shortest word that counts")


@dataclass(frozen=True, kw_only=True)
class LongestResult(StageResult):
    """words: by domain."""

    words: dict[str, int]


def build(run: Run, directory: Path) -> LongestResult:
    """Count what the data step kept, and some letters."""
    letters = run.section(LongestConfig).letters
    with run.progress.units("longest") as tell:
        tell("domains", 1, 1)
    return LongestResult(words=dict.fromkeys(run.result("data").domains, letters))


LONGEST = StageSpec(
    "longest",
    LongestResult,
    build,
    lambda result: f"{len(result.words)} domains counted",
    help="count the longest words",
    sections=(LongestConfig,),
    needs=("data",),
    table=lambda result: Grid(("domain", "words"), [(name, str(count)) for name, count in result.words.items()]),
    report=ReportSection("Longest words", lambda record, canvas: [tag("p", record.results["longest"]["words"])]),
)


@pytest.fixture
def config(tmp_path):
    """Return the config of a run that is finished but for the report, with the toy in the table before that."""
    path = write_config(tmp_path)
    run = Run(load_config(path))
    with run.pipeline.open(()):
        for name, result in results(DOMAINS, SAMPLES, STEPS).items():
            run.pipeline.stage(name).run(lambda directory, result=result: result)
    write_metrics(tmp_path / "run" / "train", DOMAINS, STEPS)
    before = dict(table.STAGES)
    report = table.STAGES.pop("report")
    table.STAGES.update({LONGEST.name: LONGEST, report.name: report})
    yield path
    table.STAGES.clear()  # and in the order they were
    table.STAGES.update(before)


def test_a_new_stage_is_run_and_reported(config, capsys):
    assert main(["run", str(config), "--set", "LongestConfig.letters=5"]) == 0
    said = capsys.readouterr().out
    assert said.count("done before, skipped") == 6
    assert "✓ longest: 4 domains counted" in said
    assert "words" in said
    workdir = config.parent / "run"
    assert read_json(workdir / "longest" / "result.json")["words"] == dict.fromkeys(DOMAINS, 5)
    assert read_json(workdir / "longest" / "manifest.json")["settings"] == ["LongestConfig.letters = 5"]
    page = (workdir / "report" / "report.html").read_text(encoding="utf-8")
    assert "<h2>Longest words</h2><p>{&#x27;zh_reviews&#x27;: 5" in page
    assert (
        page.index("Samples") < page.index("Data</h2>") < page.index("Longest words</h2>") < page.index("Record</h2>")
    )
    assert set(read_json(workdir / "report" / "manifest.json")["inputs"]) == {"evaluate", "generate", "longest"}


def test_a_new_stage_is_a_verb_with_settings(config, capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "count the longest words" in capsys.readouterr().out
    assert main(["explain", str(config)]) == 0
    assert "shortest word that counts" in capsys.readouterr().out
    assert main(["longest", str(config)]) == 0
    assert main(["longest", str(config), "--set", "LongestConfig.letters=4"]) == 2
    assert "LongestConfig.letters was 3, is now 4" in capsys.readouterr().err
    assert main(["longest", str(config), "--set", "LongestConfig.leters=4"]) == 2
    assert "did you mean 'letters'" in capsys.readouterr().err


def test_a_new_stage_is_built_from_python(config):
    run = Run(load_config(config, {"LongestConfig.letters": 2}))
    assert run.build("longest") == run.result("longest")
    assert run.result("longest").words == dict.fromkeys(DOMAINS, 2)
