"""`evaluate --tasks` from the command line, on a real model: figures, files, a kill in between, and mistakes."""

import csv
import json
import os
from pathlib import Path

import pytest

from baichuan_jax.cli.main import main
from experiments.benchmarks.bench_evaluate import with_tokenizer

pytest.importorskip("lm_eval")
os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"

DATA = Path(__file__).parents[3] / "shared/data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the checkpoints are not on this machine")

HEAD = "id,question,A,B,C,D,answer\n"
ROWS = "".join(f"{n},第{n}题是__,甲{n},乙,丙,丁,{'ABCD'[n % 4]}\n" for n in range(6))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tasks")
    with_tokenizer(DATA / "checkpoints/stories260K", directory / "llama", 512)
    assert main(["convert", "import", str(directory / "llama"), str(directory / "ours")]) == 0
    return directory / "ours"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("data")
    for split in ("val", "dev"):
        (directory / "ceval" / split).mkdir(parents=True)
        for subject in ("law", "logic"):
            (directory / "ceval" / split / f"{subject}_{split}.csv").write_text(HEAD + ROWS, encoding="utf-8")
    (directory / "gsm8k").mkdir()
    rows = "".join(json.dumps({"question": f"{n} and 1?", "answer": f"So.\n#### {n + 1}"}) + "\n" for n in range(8))
    for split in ("train", "test"):
        (directory / "gsm8k" / f"{split}.jsonl").write_text(rows)
    return directory


def evaluate(run, data_dir, *options: str) -> int:
    return main(["evaluate", str(run / "config.gin"), "--data-dir", str(data_dir), *options])


@pytest.mark.slow
def test_results_and_going_on_after_a_kill(run, data_dir, monkeypatch):
    from baichuan_jax.evaluate.score.scorer import Scorer

    options = ("--tasks", "ceval-valid_law,gsm8k", "--limit", "3", "--fewshot", "2")
    assert evaluate(run, data_dir, *options) == 0
    out = run / "run/tasks"
    name = out / "ceval-valid_law-2shot-limit3"
    first, answers = json.loads(name.with_suffix(".json").read_text()), name.with_suffix(".answers.jsonl").read_text()
    assert first["rows"][0]["questions"] == 3
    assert first["rows"][0]["chance"] == 0.25
    right = [json.loads(line)["scores"]["acc"] for line in answers.splitlines()]
    assert first["rows"][0]["mean"] == sum(right) / 3
    known = next(out.glob("answers-*.jsonl"))
    whole = known.read_bytes()
    lines = whole.splitlines(keepends=True)
    known.write_bytes(b"".join(lines[:5]) + lines[5][:20])  # as a kill might leave it
    asked, score = [], Scorer.__call__
    counted = lambda self, requests, known: asked.append(len(requests) - len(known)) or score(self, requests, known)
    monkeypatch.setattr(Scorer, "__call__", counted)
    assert evaluate(run, data_dir, *options) == 0
    assert asked[0] == 12 - 5
    again = json.loads(name.with_suffix(".json").read_text())
    assert {**again, "seconds": 0} == {**first, "seconds": 0}
    assert name.with_suffix(".answers.jsonl").read_text() == answers
    assert known.read_bytes() == whole
    rows = list(csv.DictReader((out / "results.csv").open()))
    assert {row["task"] for row in rows} == {"ceval-valid_law", "gsm8k"}
    assert "<table>" in (out / "results.html").read_text()


@pytest.mark.slow
def test_questions_by_the_chat_template_are_conversations(run, data_dir, monkeypatch):
    """The ids that are scored are those of the template's prompt and of the answer after it; both results are kept."""
    from baichuan_jax.evaluate.score.scorer import Scorer
    from baichuan_jax.recipe.run import Run

    asked, score = [], Scorer.__call__
    monkeypatch.setattr(Scorer, "__call__", lambda self, pairs, known: asked.extend(pairs) or score(self, pairs, known))
    options = ("--tasks", "ceval-valid_law,gsm8k", "--limit", "2", "--fewshot", "0")
    assert evaluate(run, data_dir, *options) == 0
    plain = len(asked)
    assert evaluate(run, data_dir, *options, "--chat", "--set=ChatConfig.template=alpaca") == 0
    template = Run.open(run, {"ChatConfig.template": "alpaca"}).chat_template
    prompts = [before for before, _ in asked[plain:]]
    assert len(prompts) == 2 * 4
    assert all(before not in prompts for before, _ in asked[:plain])
    one, other = (template.prompt([{"role": "user", "content": text}]) for text in "xy")
    after = next(one[at:] for at in range(len(one)) if one[at:] == other[at:])
    assert len(after) > 8, "what the template writes after a question"
    assert all(before[-len(after) :] == after for before in prompts)
    results = {path.name: json.loads(path.read_text()) for path in (run / "run/tasks").glob("*0shot-limit2*.json")}
    assert len(results) == 4
    assert {name.endswith("-chat.json") for name, each in results.items() if "chat_template" in each} == {True}


def test_mistakes(run, data_dir, capsys):
    cases = {
        ("--tasks", "cmmlu_anatomy"): "neither cmmlu/ nor cmmlu.zip",
        ("--tasks", "baichuan_ceva"): "did you mean 'baichuan_ceval'?",
        ("--tasks", "ceval-valid_law", "--limit", "0"): "--limit = 0: expected a positive number",
        ("--limit", "3"): "needs the names of tasks",
        ("--tasks", ""): "needs the names of tasks",
    }
    for options, said in cases.items():
        assert evaluate(run, data_dir, *options) == 2
        assert said in capsys.readouterr().err
