"""Encoding a corpus: parallel, killed, and on a full disk."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import read_json, write_json
from baichuan_jax.data.dataset import SplitWriter, finish_domain, read_documents
from baichuan_jax.jobs.config import RunnerConfig
from baichuan_jax.tokenizer import corpus_encoder
from baichuan_jax.tokenizer.config import TokenizerConfig
from baichuan_jax.tokenizer.corpus_encoder import encode_corpus, shard_ranges
from baichuan_jax.tokenizer.sentencepiece_tokenizer import SentencePieceTokenizer
from baichuan_jax.tokenizer.sentencepiece_training import train_tokenizer
from baichuan_jax.tokenizer.shards import TokenStore

TEXTS = {
    "en": [f"document number {n} says " + "hello " * n for n in range(60)],
    "zh": ["中国" * n for n in range(1, 40)],
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("corpus")
    for domain, texts in TEXTS.items():
        files = {}
        for split, part in {"train": texts[5:], "validation": texts[:5]}.items():
            with SplitWriter(directory, split) as writer:
                for text in part:
                    writer.write({"text": text, "id": text, "source": "s", "language": domain, "score": -1.0})
            files[split] = [(directory / name, *counts) for name, *counts in writer.files]
        finish_domain(directory, domain, files)
    train_tokenizer(
        TokenizerConfig(vocab=300), iter([text for texts in TEXTS.values() for text in texts]), directory / "m.model"
    )
    return directory


def run(corpus: Path, directory: Path, workers: int = 1, bos: str = "auto") -> dict[str, bytes]:
    """Encode into small shards; return every file that is left."""
    encode_corpus(corpus, corpus / "m.model", bos, directory, 2000, 1, RunnerConfig(workers=workers))
    return files(directory)


def files(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_every_document_comes_back_in_order(corpus, tmp_path):
    run(corpus, tmp_path)
    store, tokenizer = TokenStore(tmp_path), SentencePieceTokenizer(corpus / "m.model")
    for domain, texts in TEXTS.items():
        assert len(store.arrays(domain, "train")) > 2
        assert [tokenizer.decode(ids) for ids in store.documents(domain, "train")] == texts[5:]
        assert [tokenizer.decode(ids) for ids in store.documents(domain, "validation")] == texts[:5]


@pytest.mark.parametrize(("bos", "before"), [("on", [1]), ("off", []), ("earlier", [1])])
def test_what_stands_around_a_document(corpus, tmp_path, bos, before):
    run(corpus, tmp_path, bos=bos)
    store, tokenizer = TokenStore(tmp_path), SentencePieceTokenizer(corpus / "m.model")
    [ids] = [ids.tolist() for ids in TokenStore(tmp_path).arrays("zh", "validation")]
    assert ids == [id for text in TEXTS["zh"][:5] for id in (*before, *tokenizer.encode(text), tokenizer.eos)]
    assert [tokenizer.decode(ids) for ids in store.documents("zh", "validation")] == TEXTS["zh"][:5]


def test_an_index_that_says_nothing_has_both_ends(corpus, tmp_path):
    run(corpus, tmp_path, bos="on")
    index = read_json(tmp_path / "index.json")
    write_json(tmp_path / "index.json", {key: index[key] for key in ("vocab", "dtype", "shards")})
    tokenizer = SentencePieceTokenizer(corpus / "m.model")
    found = [tokenizer.decode(ids) for ids in TokenStore(tmp_path).documents("zh", "validation")]
    assert found == TEXTS["zh"][:5]


def test_pieces_cover_every_document_once(corpus):
    for size in (1, 700, 10**9):
        pieces = [piece for piece in shard_ranges(corpus, size) if (piece.domain, piece.split) == ("en", "train")]
        covered = [n for piece in pieces for n in range(piece.first, piece.end)]
        assert covered == list(range(55))
    assert len(pieces) == 1


def test_any_number_of_workers_writes_the_same(corpus, tmp_path):
    assert run(corpus, tmp_path / "one") == run(corpus, tmp_path / "two", workers=2)


def test_a_part_of_a_split_can_be_read(corpus):
    whole = [document["text"] for document in read_documents(corpus, "zh", "train")]
    assert [document["text"] for document in read_documents(corpus, "zh", "train", 3, 7)] == whole[3:7]


KILL = """
import sys
from pathlib import Path
from baichuan_jax.jobs.config import RunnerConfig
from baichuan_jax.tokenizer import corpus_encoder
write = corpus_encoder.write_shard
def slow(path, *rest):
    write(path, *rest)
    print(path, flush=True)
    import time; time.sleep(0.2)
corpus_encoder.write_shard = slow
corpus, directory = map(Path, sys.argv[1:])
corpus_encoder.encode_corpus(corpus, corpus / "m.model", "auto", directory, 2000, 1, RunnerConfig())
"""


@pytest.mark.parametrize("written", [1, 4])
def test_killed_and_run_again(corpus, tmp_path, written):
    process = subprocess.Popen([sys.executable, "-c", KILL, str(corpus), str(tmp_path)], stdout=subprocess.PIPE)
    for _ in range(written):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with pytest.raises(UserError, match="no token shards"):
        TokenStore(tmp_path)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.bin")}
    assert len(kept) >= written
    time.sleep(0.01)
    again = run(corpus, tmp_path)
    unchanged = [path for path, stamp in kept.items() if path.stat().st_mtime_ns == stamp]
    assert len(unchanged) >= written - 1, "finished shards are not made again"
    assert again == run(corpus, tmp_path / "fresh" if written == 1 else tmp_path.with_name("fresh"))


def test_a_full_disk_leaves_nothing_that_a_reader_accepts(corpus, tmp_path, monkeypatch):
    write, room = corpus_encoder.write_shard, [3]

    def full(path, documents, dtype):
        if not room[0]:
            path.with_name(f".{path.name}.1.partial").write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        room[0] -= 1
        write(path, documents, dtype)

    monkeypatch.setattr(corpus_encoder, "write_shard", full)
    with pytest.raises(OSError, match="No space left") as error:
        run(corpus, tmp_path / "a")
    assert error.value.errno == errno.ENOSPC
    with pytest.raises(UserError, match="no token shards"):
        TokenStore(tmp_path / "a")
    monkeypatch.undo()
    made, fresh = run(corpus, tmp_path / "a"), run(corpus, tmp_path / "b")
    assert {name: made[name] for name in made if "partial" not in name} == fresh
