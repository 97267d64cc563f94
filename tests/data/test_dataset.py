"""The dataset on disk: readable by tensorflow-datasets without TensorFlow, in shards, and whole or absent."""

import json
import subprocess
import sys

import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.dataset import SplitWriter, domain_directory, domains, finish_domain, read_documents


def document(n):
    return {"text": f"文本 {n}\n" * 9, "id": f"{n:016x}", "source": f"a.jsonl:{n}", "language": "zh", "score": n / 1024}


def write_files(directory, split, numbers, shard_bytes=4000):
    directory.mkdir(parents=True, exist_ok=True)
    with SplitWriter(directory, split, shard_bytes) as writer:
        for n in numbers:
            writer.write(document(n))
    return [(directory / name, documents, size) for name, documents, size in writer.files]


def write(directory, domain="zh", train=200, validation=3):
    parts = directory / "parts" / domain
    half = train // 2
    files = {
        "train": write_files(parts / "0", "train", range(half)) + write_files(parts / "1", "train", range(half, train)),
        "validation": write_files(parts / "0", "validation", range(1000, 1000 + validation)),
    }
    finish_domain(directory, domain, files)
    return files


def test_round_trip_in_order_over_the_files_of_several_tasks(tmp_path):
    files = write(tmp_path)
    assert list(read_documents(tmp_path, "zh", "train")) == [document(n) for n in range(200)]
    assert list(read_documents(tmp_path, "zh", "validation")) == [document(1000 + n) for n in range(3)]
    shards = sorted(path.name for path in domain_directory(tmp_path, "zh").glob("*train*"))
    assert len(shards) == len(files["train"]) > 5
    assert shards[0] == f"corpus-train.array_record-00000-of-{len(shards):05}"


def test_finishing_goes_on_after_an_interruption(tmp_path):
    files = write(tmp_path, "en", 40, 1)
    before = {path.name: path.read_bytes() for path in domain_directory(tmp_path, "en").iterdir()}
    (domain_directory(tmp_path, "en") / "dataset_info.json").unlink()
    shard = sorted(domain_directory(tmp_path, "en").glob("*train*"))[0]
    shard.rename(files["train"][0][0])  # not moved yet
    finish_domain(tmp_path, "en", files)
    assert {path.name: path.read_bytes() for path in domain_directory(tmp_path, "en").iterdir()} == before


def test_the_same_documents_make_the_same_bytes(tmp_path):
    first, second = (write_files(tmp_path / name, "train", range(50)) for name in "ab")
    assert [path.read_bytes() for path, *_ in first] == [path.read_bytes() for path, *_ in second]


def test_tensorflow_datasets_reads_it_without_tensorflow(tmp_path):
    write(tmp_path, "zh_news")
    code = (
        "import sys, json, tensorflow_datasets as tfds\n"
        f"data = tfds.data_source('corpus/zh_news', split='train', data_dir={str(tmp_path)!r})\n"
        "example = {k: v.decode() if isinstance(v, bytes) else float(v) for k, v in data[7].items()}\n"
        "print(json.dumps([len(data), example, 'tensorflow' in sys.modules, 'jax' in sys.modules]))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == [200, document(7), False, False]


def test_domains(tmp_path):
    with pytest.raises(UserError, match=r"no corpus in .*; make it first"):
        domains(tmp_path)
    write(tmp_path, "zh", 2, 1)
    write(tmp_path, "en", 2, 1)
    assert domains(tmp_path) == ["en", "zh"]
    with pytest.raises(UserError, match=r"no domain 'fr' in .*; it has en, zh"):
        next(read_documents(tmp_path, "fr", "train"))
