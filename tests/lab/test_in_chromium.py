"""Pages in a browser, on a phone and on a desk, light and dark; PAGES_IN=DIR keeps the pictures."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.cli.small import environment, run, write_config
from tests.lab.chromium import FOUND, Chromium
from tests.lab.conftest import SAMPLES
from tests.lab.test_report import write_report

pytestmark = [pytest.mark.browser, pytest.mark.skipif(FOUND is None, reason="there is no Chromium here")]

ROOT = Path(__file__).parents[2]
FINDINGS = (Path(__file__).parent / "findings.js").read_text(encoding="utf-8")
SIZES, SCHEMES = (390, 1280), ("light", "dark")
PAGES = ("report", "inspect", "sweep", "compare", "experiment", "compared experiments", "docs")
EXTRA = """
RunConfig.workdir = '{texts}/运行'
SampleConfig.prompts = ('中国', 'The people', 'def __init__(self, name):\\n    self.name')
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Path]:
    """Return {kind: page} of what a user makes, small."""
    place = tmp_path_factory.mktemp("pages")
    config = write_config(place, EXTRA.format(texts=place))
    make("run", config)
    make("data", "inspect", config, "--html", place / "inspect.html")
    over = ["--over", "OptimConfig.peak_lr=[1e-3, 5e-3]", "--over", "TrainConfig.seed=range(2)"]
    make("sweep", config, *over, "--set=SweepConfig.cores=1", f"--set=SweepConfig.directory={place / 'sweep'}")
    points = place / "sweep" / "points"
    make("compare", place / "运行", points / "0002", "--out", place / "compare")
    experiment(config, place / "experiments" / "first")
    experiment(config, place / "experiments" / "second", "TrialConfig.layers=1")
    folders = [place / "experiments" / name for name in ("first", "second")]
    make("compare", *folders, "--out", place / "compare_experiments")
    site = ["-m", "mkdocs", "build", "--config-file", ROOT / ".mkdocs.yml", "--site-dir", place / "site"]
    subprocess.run([sys.executable, *site], cwd=ROOT, env=environment(), check=True, capture_output=True)
    return {
        "report": place / "运行/report/report.html",
        "inspect": place / "inspect.html",
        "sweep": place / "sweep/report.html",
        "compare": place / "compare/report.html",
        "experiment": folders[0] / "report.html",
        "compared experiments": place / "compare_experiments/report.html",
        "docs": place / "site/index.html",
    }


make = partial(run, timeout=1800)  # on a busy machine


def experiment(config: Path, workdir: Path, *more: str) -> None:
    from experiments.rate_schedules import DEBUG

    settings = [*DEBUG, f"TrialConfig.corpus={str(config)!r}", f"TrialConfig.corpus_workdir={str(workdir / 'text')!r}"]
    settings += ["TrialConfig.corpus_settings=()", f"RateSchedules.workdir={str(workdir)!r}", *more]
    make("experiment", "rate_schedules", *(f"--set={setting}" for setting in settings))


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Return a browser that has ended when the tests have."""
    with Chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", SIZES)
@pytest.mark.parametrize("kind", PAGES)
def test_nothing_is_wrong_with_a_page(pages, browser, kind, width, scheme):
    check(browser, pages[kind], kind, width, scheme)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", SIZES)
def test_nothing_is_wrong_with_a_report_that_has_every_section(make_run, browser, width, scheme):
    workdir = make_run(samples=(*SAMPLES, {"prompt": "Nothing", "text": ""}))
    page = Path(write_report(workdir, workdir / "report")["page"])
    check(browser, page, "every_section", width, scheme)


def check(browser: Chromium, page: Path, kind: str, width: int, scheme: str) -> None:
    assert page.is_file()  # or the browser would show a page of its own
    browser.show(page, width, scheme)
    if folder := os.environ.get("PAGES_IN"):
        browser.screenshot(Path(folder) / f"{kind.replace(' ', '_')}-{width}-{scheme}.png")
    found = browser.run(FINDINGS)
    assert not any(found.values()), json.dumps(found, ensure_ascii=False, indent=1)


BAD = """<!doctype html><html><head><meta charset="utf-8"><style>
.plots { display: grid; grid-template-columns: 1fr 1fr } p { margin: 0 } .wide { width: 3000px } .pale { color: #ccc }
svg { width: 100px } pre { font-family: sans-serif }
</style></head><body><div class="plots"><p>one</p><p>two</p><p>three</p></div>
<p class="text"><mark>prompt</mark></p><p class="text">a</p><p class="wide">wide</p>
<p class="pale">pale</p><p>\u0378</p>
<svg viewBox="0 0 10 10"><text>longer than its plot</text></svg><pre>code</pre></body></html>"""


def test_what_is_wrong_is_found(browser, tmp_path):
    page = tmp_path / "bad.html"
    page.write_text(BAD, encoding="utf-8")
    browser.show(page, 1280, "light")
    found = browser.run(FINDINGS)
    assert [kind for kind, places in found.items() if not places] == []
