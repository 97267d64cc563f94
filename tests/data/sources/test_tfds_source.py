"""tensorflow-datasets as a source. In a process of its own, because TFDS_DATA_DIR is read at import."""

import json
import os
import subprocess
import sys

import pytest

from baichuan_jax.data.dataset import SplitWriter, finish_domain

CODE = """
import json, sys
from baichuan_jax.core.errors import UserError
from baichuan_jax.data.config import DataConfig
from baichuan_jax.data.sources.units import read_unit, source_files, source_units

def attempt(spec, **settings):
    cfg = DataConfig({'a': spec}, **settings)
    try:
        return [[doc.text, doc.source] for unit in source_units(cfg) for doc in read_unit(unit, cfg)]
    except UserError as error:
        return str(error)

print(json.dumps({
    "read": attempt("tfds:corpus/zh"),
    "split": attempt("tfds:corpus/zh:1.0.0@validation"),
    "slice": attempt("tfds:corpus/zh@train[1:]"),
    "other field": attempt("tfds:corpus/zh@validation", text_field="language"),
    "no field": attempt("tfds:corpus/zh", text_field="body"),
    "no split": attempt("tfds:corpus/zh@test"),
    "not prepared": attempt("tfds:wiki40b/zh-cn"),
    "typo": attempt("tfds:ag_news_subsets"),
    "files": [path.name for path in source_files("tfds:corpus/zh")],
    "tensorflow": "tensorflow" in sys.modules or "jax" in sys.modules,
}))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tfds")
    files = {}
    for split, numbers in {"train": (0, 1), "validation": (2,)}.items():
        with SplitWriter(directory, split) as writer:
            for n in numbers:
                writer.write({"text": f"文{n}", "id": "", "source": "", "language": "zh", "score": -1.0})
        files[split] = [(directory / name, documents, size) for name, documents, size in writer.files]
    finish_domain(directory, "zh", files)
    run = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, "TFDS_DATA_DIR": str(directory)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(run.stdout)


def test_reads(answers):
    assert answers["read"] == [["文0", "corpus/zh@train:0"], ["文1", "corpus/zh@train:1"]]
    assert answers["split"] == [["文2", "corpus/zh:1.0.0@validation:0"]]
    assert answers["slice"] == [["文1", "corpus/zh@train[1:]:0"]]
    assert answers["other field"] == [["zh", "corpus/zh@validation:0"]]
    assert not answers["tensorflow"]


def test_says_what_is_wrong(answers):
    assert "no field 'body'; it has id, language, score, source, text" in answers["no field"]
    assert "no split 'test'; it has train, validation" in answers["no split"]
    assert "tfds build wiki40b/zh-cn --file_format=array_record" in answers["not prepared"]
    assert "did you mean ag_news_subset" in answers["typo"]


def test_files(answers):
    assert "dataset_info.json" in answers["files"]
    assert "corpus-train.array_record-00000-of-00001" in answers["files"]
