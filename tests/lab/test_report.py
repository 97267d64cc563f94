import re
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from baichuan_jax.core.files import read_json, write_json
from baichuan_jax.recipe.run import Run
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.recipe.stages.report import build
from tests.lab.checker import Checker
from tests.lab.conftest import DOMAINS


def write_report(workdir: Path, directory: Path) -> dict:
    return build(Run(RunConfig(workdir=str(workdir))), directory).as_record()


def read(result: dict) -> tuple[str, Checker]:
    page = Path(result["page"]).read_text(encoding="utf-8")
    return page, Checker(page)


def domains(number: int) -> tuple[str, ...]:
    return tuple(f"domain_{'x' * (3 * k)}{k}" for k in range(number))


@pytest.fixture(scope="module")
def report(make_run, tmp_path_factory) -> dict:
    """Return the report of the run as it is by default."""
    return write_report(make_run(), tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def smallest(make_run, tmp_path_factory) -> dict:
    """Return the report of one domain, which is worse than its unigram model, one logged step and no samples."""
    workdir = make_run(domains=domains(1), steps=3, samples=())
    manifest = read_json(workdir / "evaluate" / "manifest.json")
    manifest["result"]["domains"]["domain_0"] |= {"bits_per_byte": 3.25, "unigram": 3.125}
    write_json(workdir / "evaluate" / "manifest.json", manifest)
    return write_report(workdir, tmp_path_factory.mktemp("smallest"))


def test_page_is_whole_and_needs_nothing_else(report):
    page, checked = read(report)
    assert page.startswith('<!doctype html>\n<html lang="en">')
    assert 'name="viewport"' in page
    assert "script" not in checked.tags
    assert all(link.startswith("#") for link in checked.links)
    assert {link[1:] for link in checked.links} <= set(checked.ids)
    assert len(checked.ids) == len(set(checked.ids))
    assert not re.search(r"url\((?!#)|@import", page)
    assert len(page) < 500_000


@pytest.mark.parametrize("number", [1, *(pytest.param(number, marks=pytest.mark.slow) for number in (4, 12))])
def test_every_domain_is_told_of(make_run, tmp_path, report, smallest, number):
    names = DOMAINS if number == 4 else domains(number)
    result = {1: smallest, 4: report}.get(number) or write_report(make_run(domains=names), tmp_path)
    _, checked = read(result)
    for name in names:
        assert checked.text.count(name) >= 3  # bits per byte, funnel, tokenizer
    assert len(result["plots"]) == checked.tags.count("figure") == len(set(checked.labels))
    assert checked.tags.count("svg") == len(checked.labels) == 10 + 4  # the last of an odd number is drawn twice


def test_numbers_of_the_run(report):
    page, checked = read(report)
    assert '<th scope="row">100</th><td>OptimConfig.peak_lr</td><td>2.0</td><td>1.0</td></tr>' in page
    text = "".join(checked.text).replace("\u00a0", " ")
    assert "Wall time of training, in 1 starts" in text
    assert re.search(r"step</th><td[^>]*>1\s*min\s*30\s*s</td><td[^>]*>90.0%", page)
    assert checked.text.count("quickstart") == 2  # the title and the heading
    assert "12.3 M parameters, 819 k tokens, 8 × cpu, 4 min 41 s for all stages" in text
    assert re.search(r"2\.\d{3} bits per byte on held-out text \(unigram: 2\.\d{3}\)", text)
    for expected in ("3.9876", "9,876", "41.2%", "39.8%", "1.10 TFLOP/s", "measured: the best", "8,000 pieces"):
        assert expected in text
    assert "TrainConfig.steps = 400" in text
    assert "better than the unigram baseline in every domain" in text


def test_the_sentences_that_went_and_the_quality_model(report):
    page, _ = read(report)
    assert '<th scope="col">boilerplate</th><th scope="col">repeated</th>' in page
    assert '<th scope="row">en_speeches</th><td>1,234</td><td>321</td></tr>' in page
    row = "<td>0.988</td><td>0.612</td><td>0.953</td><td>0.020</td>"
    assert f'<th scope="row">zh</th>{row}</tr></tbody>' in page  # code has no model


def test_hostile_text_stays_text_and_empty_text_has_a_reason(make_run, tmp_path):
    attack = '<script>alert(1)</script></p></details>&amp;\x00\x1b[0m" onload="x'
    empty = [{"prompt": "a", "text": ""}, {"prompt": "b", "text": "\n "}]
    workdir = make_run(samples=[{"prompt": attack, "text": attack}, *empty], name="<b>")
    _, checked = read(write_report(workdir, tmp_path))
    assert any(text.startswith("No text: the first token") for text in checked.text)
    assert "White space only." in checked.text
    assert not {"script", "b"} & set(checked.tags)
    assert checked.text.count(attack.replace("\x00", "␀").replace("\x1b", "␛")) == 2


def test_samples_keep_their_whitespace(report):
    page, checked = read(report)
    assert ", name):\n    self.name = name\n    self.items = []\n" in checked.text
    assert '<p class="text" lang="zh-Hans"><mark>中国政府</mark>表示' in page
    assert '<p class="text code"><mark>def __init__(self</mark>, name)' in page
    assert '<p class="text"><mark>The people of the United States</mark>' in page


def test_plots_are_real_pictures(report):
    assert len(report["plots"]) == 10
    for path in map(Path, report["plots"]):
        assert path.parent == Path(report["page"]).parent / "plots"
        assert path.read_bytes().startswith(b"\x89PNG")
        pixels = matplotlib.image.imread(path)
        assert pixels.shape[1] == pytest.approx(630, abs=1)
        assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 20
        assert (pixels[..., :3].min(axis=2) < 0.9).mean() > 0.01


def test_same_run_same_page_and_no_style_left_behind(make_run, report, tmp_path):
    before = dict(matplotlib.rcParams)
    page, _ = read(write_report(make_run(), tmp_path))
    assert page == read(report)[0]
    assert dict(matplotlib.rcParams) == before


def test_one_logged_step_no_samples_and_worse_than_unigram(smallest):
    _, checked = read(smallest)
    assert any("step 3" in label for label in checked.labels)
    assert "The config has no prompts." in checked.text
    place = checked.text.index("No better than the unigram baseline")
    assert checked.text[place + 1] == ": domain_0 (3.250, unigram 3.125)."


def test_stages_that_have_not_finished_are_left_out(make_run, tmp_path):
    workdir = make_run()
    for stage in ("evaluate", "generate"):
        (workdir / stage / "manifest.json").unlink()
    _, checked = read(write_report(workdir, tmp_path))
    assert {"training", "data", "tokenizer", "record"} <= set(checked.ids)
    assert not {"bits-per-byte", "samples"} & set(checked.ids)
