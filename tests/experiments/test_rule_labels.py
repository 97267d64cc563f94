"""The labels by which rules are judged are well-formed, and the report says what became of them."""

import gzip
import json
import re
import zipfile

import pytest

from experiments.benchmarks import rule_labels
from experiments.benchmarks.rule_labels import BAD, GOOD, KEPT, Label, draw, judge, line_hash, read_labels, report
from experiments.benchmarks.rule_texts import Text, all_texts

PROSE = "The ferry leaves the harbour at noon, and {} people wait for it on the quay with their baskets and bicycles."
NOTICE = "Copyright 2011 Harbour Friends, all rights reserved."


def own_texts() -> list[Text]:
    texts = [Text("tales", "en", PROSE.format(number)) for number in range(5)]
    texts += [Text("tales", "en", "Too short."), Text("pages", "en", f"{PROSE.format('many')}\n{NOTICE}")]
    texts += [
        Text("pages", "zh", "渡船中午离港，码头上有很多人带着篮子和自行车在等它。"),
        Text("pages", "zh", "太短。"),
    ]
    return texts


def as_labels(labels: dict[str, str]) -> list[Label]:
    """Labels of the own texts and lines: `labels` by verdict, GOOD if there is none."""
    drawn = draw(dict(judge(own_texts())))
    return [label._replace(label=labels.get(label.verdict, GOOD), reason="told by the test") for label in drawn]


def test_the_list_is_well_formed():
    labels = read_labels()
    assert len({label.id for label in labels}) == len(labels) > 600
    for label in labels:
        assert re.fullmatch(r"[\w.-]+:[0-9a-f]{16}(/[0-9a-f]{16})?", label.id)
        assert label.id.startswith(f"{label.source}:")
        assert label.language in rule_labels.DRAWN
        assert re.fullmatch(r"kept|removed:\w+|pruned:\w+", label.verdict)
        assert label.is_line == label.verdict.startswith("pruned:")
        assert label.label in (GOOD, BAD)
        assert label.reason.isascii()
        assert 1 < len(label.reason.split()) <= 9
        assert len(label.reason) <= 80
    for language in ("zh", "en"):
        for verdict in (KEPT, "removed:"):
            found = [label for label in labels if label.language == language and label.verdict.startswith(verdict)]
            assert len(found) == rule_labels.DRAWN[language]


def test_what_is_drawn_does_not_depend_on_order():
    forwards, backwards = (draw(dict(judge(texts))) for texts in (own_texts(), own_texts()[::-1]))
    assert forwards == backwards
    verdicts = [label.verdict for label in forwards if label.language == "en"]
    assert sorted(verdicts) == [KEPT] * 6 + ["pruned:copyright", "removed:too_short"]


def test_what_is_drawn_is_spread(monkeypatch):
    monkeypatch.setattr(rule_labels, "DRAWN", {"en": 2})
    kept = [label.source for label in draw(dict(judge(own_texts()))) if label.verdict == KEPT]
    assert sorted(kept) == ["pages", "tales"]


def test_the_report_passes_while_good_ones_stay(capsys):
    labels = as_labels({"removed:too_short": BAD, "pruned:copyright": BAD})
    assert report(labels, dict(judge(own_texts())))
    assert "en: removed:too_short             1    0  1.000;    1    0  1.000;   0   0" in capsys.readouterr().out


def test_good_ones_lost_fail(capsys, monkeypatch):
    monkeypatch.setattr(rule_labels, "MOST_LOST", 0)
    assert not report(as_labels({"removed:too_short": BAD}), dict(judge(own_texts())))
    printed = capsys.readouterr().out
    assert "FAILED: en lines: 1 good ones go, at most 0 may" in printed
    assert printed.count("FAILED") == 1


def test_a_rule_that_became_less_precise_fails(capsys):
    found = dict(judge(own_texts()))
    labels = as_labels({"removed:too_short": BAD, "pruned:copyright": BAD})
    kept = next(label for label in labels if label.language == "en" and label.verdict == KEPT)
    found[kept.id] = found[kept.id]._replace(verdict="removed:too_short")
    assert not report(labels, found)
    assert "FAILED: en: removed:too_short is less precise than it was" in capsys.readouterr().out


def test_a_rule_that_fires_no_more_is_named(capsys):
    labels = as_labels({"removed:too_short": BAD, "pruned:copyright": BAD})
    found = {id: judged for id, judged in judge(own_texts()) if "/" not in id}
    assert report(labels, found)
    assert "en: pruned:copyright fires on none of them now" in capsys.readouterr().out


def test_texts_that_changed_are_missing(capsys):
    labels = as_labels({"removed:too_short": BAD, "pruned:copyright": BAD})
    changed = [text._replace(text=text.text + "!") for text in own_texts()]
    assert not report(labels, dict(judge(changed)))
    assert f"FAILED: {len(labels)} texts not found" in capsys.readouterr().out


@pytest.mark.parametrize("other", [NOTICE.replace(" ", "  "), NOTICE.replace("2", "２"), f" {NOTICE} "])
def test_a_line_is_known_in_another_layout(other):
    assert line_hash(other) == line_hash(NOTICE)


def test_evaluation_sets_become_whole_questions(tmp_path):
    for folder in ("agieval", "gaokao", "math", "humaneval"):
        (tmp_path / folder).mkdir()
    question = {"passage": None, "question": "哪种木头会沉？\u2028选一项。", "options": ["(A)软木", "(B)乌木"]}
    (tmp_path / "agieval" / "gaokao-woods.jsonl").write_text(json.dumps(question, ensure_ascii=False), encoding="utf-8")
    gaokao = {"example": [{"question": "1. Boats ______ at noon.\nA. leave B. leaves", "answer": ["A"]}]}
    (tmp_path / "gaokao" / "English_MCQs.json").write_text(json.dumps(gaokao), encoding="utf-8")
    (tmp_path / "math" / "test.jsonl").write_text('{"problem": "Add.", "solution": "Done."}\n', encoding="utf-8")
    code = '{"prompt": "def f():", "canonical_solution": " pass"}'
    (tmp_path / "humaneval" / "all.jsonl.gz").write_bytes(gzip.compress(code.encode()))
    with zipfile.ZipFile(tmp_path / "mmlu.zip", "w") as archive:
        archive.writestr("data/woods.csv", '"Which sinks?",A,ebony,cork,pine,B\n')
    with zipfile.ZipFile(tmp_path / "ceval.zip", "w") as archive:
        archive.writestr("dev/woods.csv", "id,question,A,B,C,D,answer,explanation\n0,哪种沉？,软,乌,松,杉,B,它很重。\n")
    texts = list(all_texts([], tmp_path, demos=()))
    assert texts == [
        Text("ceval", "zh", "哪种沉？\nA. 软\nB. 乌\nC. 松\nD. 杉\n答案：B\n它很重。"),
        Text("mmlu", "en", "Which sinks?\nA. A\nB. ebony\nC. cork\nD. pine\nAnswer: B"),
        Text("agieval", "zh", "哪种木头会沉？\u2028选一项。\n(A)软木\n(B)乌木"),
        Text("gaokao", "en", "1. Boats ______ at noon.\nA. leave B. leaves\nAnswer: A"),
        Text("math", "en", "Add.\nDone."),
        Text("humaneval", "code", "def f(): pass"),
    ]


def test_corpora_are_read_once_and_in_their_language(tmp_path):
    lines = [json.dumps({"text": text}) for text in (PROSE, PROSE, "渡船中午离港，很多人在等它。", " ")]
    (tmp_path / "tales.en.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    texts = list(all_texts([tmp_path], None, demos=()))
    assert [(text.source, text.language) for text in texts] == [("tales.en", "en"), ("tales.en", "zh")]
    assert len({text.id for text in texts}) == 2
