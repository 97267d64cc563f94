"""Does the tokenizer.json that an export writes give SentencePiece's ids and text, at every kind of beginning and end?

Command: python -m experiments.benchmarks.tokenizer_agreement MODEL... [--texts 20000] [--transformers PYTHON]
Cost: half a minute for each model of 64,000 pieces. Needs the package tokenizers (the extra [hf]).

Exports each SentencePiece model and reads texts with both: texts that are made of white space, marks, digits, tags,
names of special ids and words, so that each comes first and last and beside each. Ids, and texts decoded from them, are
compared with SentencePiece's own; special symbols, such as <s> and <reserved_0>, are text here. PYTHON is an
interpreter with transformers: its AutoTokenizer reads the exported folder as well. What differs is listed.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import sentencepiece

from baichuan_jax.core.files import write_json
from baichuan_jax.tokenizer.export import JSON, export_huggingface
from baichuan_jax.tokenizer.model_file import parse_model, symbols_as_controls
from experiments.benchmarks.peer import Peer

SPACES = ("", " ", "  ", "   ", "\n", "\n\n", "\t", "\r\n", "\u00a0", "\u2003", "\u3000", "\u200b", "\ufeff", "\u2581")
MARKS = (*"，。！？、：￥.!?《》【』", "，。", "...", "'", '"', "-", "---", "-->")
DIGITS = ("0", "7", "12", "2024", "3.14", "５", "８9", "①")
TAGS = ("<p>", "</p>", "<br/>", "<h2>", "<h7>", "<td", "<!--", "<!DOCTYPE>", "```", "````", "<", "</", ">", "h2>")
NAMES = ("<s>", "</s>", "<unk>", "<SEP>", "<CLS>", "<reserved_0>", "<reserved_299>", "<0x0A>", "<0x41>", "<|end|>")
WORDS = (
    "the",
    " The",
    "people",
    "a",
    "中国",
    "人民的",
    "𠀀",
    "é",
    "e\u0301",
    "\U0001f600",
    "\x00",
    "\x7f",
    "def f(x):",
    "the  the",
)
KINDS = (SPACES, MARKS, DIGITS, TAGS, NAMES, WORDS)
# Sends back, for a file of texts, the ids and what they are decoded to.
PEER = """
import json, sys
from transformers import AutoTokenizer
for line in sys.stdin:
    directory, texts = json.load(open(line.strip()))
    tokenizer = AutoTokenizer.from_pretrained(directory)
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    print(json.dumps([ids, [tokenizer.decode(row, skip_special_tokens=True) for row in ids]]), flush=True)
"""
Read = tuple[list[list[int]], list[str]]  # ids of texts, and the texts of the ids


def make_texts(count: int) -> list[str]:
    """Return texts: every part alone, every pair of parts of two kinds, then longer ones up to `count`."""
    parts = [part for kind in KINDS for part in kind]
    rng = random.Random(0)
    pairs = [one + two for one in parts for two in parts]
    rng.shuffle(pairs)
    texts = [*parts, *pairs[: count // 2]]
    while len(texts) < count:
        texts.append("".join(rng.choice(rng.choice(KINDS)) for _ in range(rng.randint(3, 12))))
    return texts[:count]


def by_sentencepiece(model: Path, texts: Sequence[str]) -> Read:
    """Return what sentencepiece itself reads, special symbols being text."""
    content = symbols_as_controls(parse_model(model.read_bytes())).SerializeToString()
    processor = sentencepiece.SentencePieceProcessor(model_proto=content)
    ids = processor.encode(list(texts))
    return ids, processor.decode(ids)


def by_export(directory: Path, texts: Sequence[str]) -> Read:
    """Return what the exported tokenizer.json reads."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(directory / JSON))
    tokenizer.encode_special_tokens = True
    ids = [encoding.ids for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False)]
    return ids, [tokenizer.decode(row, skip_special_tokens=True) for row in ids]


def differing(texts: Sequence[str], ours: Read, theirs: Read) -> tuple[list[str], list[str]]:
    """Return the texts of which the ids differ, and those of which the decoded text does."""
    ids, decoded = ([one == two for one, two in zip(*pair, strict=True)] for pair in zip(ours, theirs))
    return tuple([text for text, same in zip(texts, sames, strict=True) if not same] for sames in (ids, decoded))


def main() -> int:
    """Print a line for each model and reader; return 1 if anything differs."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("models", nargs="+", type=Path, metavar="MODEL", help="a SentencePiece .model file")
    arguments.add_argument("--texts", type=int, default=20_000, help="how many (default 20000)")
    arguments.add_argument("--transformers", metavar="PYTHON", help="an interpreter with transformers")
    args = arguments.parse_args()
    texts, wrong = make_texts(args.texts), 0
    for model in args.models:
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            export_huggingface(model, directory)
            if not (directory / JSON).exists():
                print(f"{model.name}: of a kind that tokenizer.json is not written for")
                continue
            expected = by_sentencepiece(model, texts)
            found = {"tokenizers": by_export(directory, texts)}
            if args.transformers:
                found["transformers"] = _by_peer(args.transformers, directory, texts)
        for reader, read in found.items():
            ids, decoded = differing(texts, expected, read)
            wrong += len(ids) + len(decoded)
            print(f"{model.name} by {reader}: of {len(texts):,} texts {len(ids)} differ in ids, {len(decoded)} decoded")
            for text in (*ids[:10], *decoded[:10]):
                print(f"  {text!r}")
    return int(wrong > 0)


def _by_peer(python: str, directory: Path, texts: Sequence[str]) -> Read:
    write_json(directory / "texts.json", [str(directory), texts])
    with Peer(python, PEER, needs="transformers") as peer:
        return tuple(json.loads(peer.ask(directory / "texts.json")))


if __name__ == "__main__":
    sys.exit(main())
