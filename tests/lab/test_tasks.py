"""Tables of evaluation tasks, and the leaderboard."""

import csv

from baichuan_jax.core.files import write_json
from baichuan_jax.lab import leaderboard
from baichuan_jax.lab.tasks import write_tables
from tests.lab.checker import Checker

ROW = {"stderr": 0.01, "low": 0.2, "high": 0.4, "chance": 0.25, "questions": 100}


def result(task: str, limit: int | None, *rows: tuple[str, str, float]) -> dict:
    return {
        "task": task,
        "metric": "acc",
        "fewshot": 5,
        "limit": limit,
        "seconds": 1.0,
        "rows": [{"name": name, "kind": kind, "mean": mean, **ROW} for name, kind, mean in rows],
        "other_metrics": {"acc": {"mean": 0.3}, "acc_norm": {"mean": 0.31}},
    }


def test_tables_of_what_is_there(tmp_path):
    out = tmp_path / "run<1>" / "tasks"
    parts = ("mmlu_stem", "category", 0.2), ("mmlu_humanities", "category", 0.25)
    rows = ("mmlu", "questions", 0.3), *parts, ("mmlu_law", "subject", 0.1)
    write_json(out / "mmlu-5shot-limit9.json", result("mmlu", 9, *rows))
    write_tables(out, {"run<1>": out})
    found = list(csv.DictReader((out / "results.csv").open()))
    assert [(row["name"], row["mean"], row["limit"]) for row in found] == [
        ("mmlu", "0.3", "9"),
        ("mmlu_stem", "0.2", "9"),
        ("mmlu_humanities", "0.25", "9"),
        ("mmlu_law", "0.1", "9"),
    ]
    page = (out / "results.html").read_text()
    checked = Checker(page)
    assert {link.removeprefix("#") for link in checked.links} == set(checked.ids)
    assert "run&lt;1&gt;" in page
    assert "acc_norm" in page
    assert "By subject (1)" in page
    published, ours, guessing = csv.DictReader((out / "leaderboard.csv").open())
    assert (published["MMLU"], ours["MMLU"], guessing["MMLU"]) == ("42.3", "~30.0", "~25.0")
    assert (ours["humanities"], ours["stem"], ours["C-Eval"]) == ("~25.0", "", ""), "lm-eval's STEM is not the authors'"


def test_the_recipes_own_task_and_all_questions_come_first(tmp_path):
    write_json(tmp_path / "ceval-valid-5shot.json", result("ceval-valid", None, ("ceval-valid", "subjects", 0.1)))
    write_json(tmp_path / "a-5shot-limit2.json", result("baichuan_ceval", 2, ("baichuan_ceval", "subjects", 0.2)))
    cell = lambda: leaderboard.rows({"m": tmp_path})[1][1]
    assert cell() == "10.0"
    own = result("baichuan_ceval", None, ("baichuan_ceval", "subjects", 0.4), ("hard", "category of subjects", 0.3))
    write_json(tmp_path / "baichuan_ceval-5shot.json", own)
    assert cell() == "40.0"
    assert leaderboard.rows({"m": tmp_path})[1][2] == "30.0"


def test_a_model_without_five_shot_results_is_not_on_it(tmp_path):
    assert len(leaderboard.rows({"m": tmp_path})) == len(leaderboard.PUBLISHED)
