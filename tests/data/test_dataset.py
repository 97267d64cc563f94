"""The dataset on disk: readable by tensorflow-datasets without TensorFlow, in shards, and whole or absent."""

import json
import subprocess
import sys

import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.dataset import DomainWriter, domain_directory, domains, read_documents


def document(n):
    return {"text": f"文本 {n}\n" * 9, "id": f"{n:016x}", "source": f"a.jsonl:{n}", "language": "zh"}


def write(directory, domain="zh", train=200, validation=3, shard_bytes=4000):
    with DomainWriter(directory, domain, shard_bytes) as writer:
        for n in range(train):
            writer.write("train", document(n))
        for n in range(validation):
            writer.write("validation", document(1000 + n))


def test_round_trip_in_order_over_many_shards(tmp_path):
    write(tmp_path)
    assert list(read_documents(tmp_path, "zh", "train")) == [document(n) for n in range(200)]
    assert list(read_documents(tmp_path, "zh", "validation")) == [document(1000 + n) for n in range(3)]
    shards = sorted(path.name for path in domain_directory(tmp_path, "zh").glob("*train*"))
    assert len(shards) > 5
    assert shards[0] == f"corpus-train.array_record-00000-of-{len(shards):05}"
    assert not list(tmp_path.rglob("*.partial"))


def test_tensorflow_datasets_reads_it_without_tensorflow(tmp_path):
    write(tmp_path, "zh_news")
    code = (
        "import sys, json, tensorflow_datasets as tfds\n"
        f"data = tfds.data_source('corpus/zh_news', split='train', data_dir={str(tmp_path)!r})\n"
        "example = {key: value.decode() for key, value in data[7].items()}\n"
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


def test_a_write_that_was_interrupted_does_not_look_finished(tmp_path):
    write(tmp_path, "en", 2, 1)

    def interrupted():
        with DomainWriter(tmp_path, "zh") as writer:
            writer.write("train", document(0))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert domains(tmp_path) == ["en"]
    assert not list(domain_directory(tmp_path, "zh").glob("corpus-*"))
