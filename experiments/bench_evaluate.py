"""Questions per second of MMLU, beside lm-eval's Hugging Face backend on the same weights and the same files.

Command: make bench-evaluate PEER=PYTHON   (or: python -m experiments.bench_evaluate --data-dir DIR --peer PYTHON).
"""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

from sentencepiece import sentencepiece_model_pb2 as protos

from baichuan_jax.tokenizer.published import give


def with_tokenizer(checkpoint: Path, out: Path, context: int) -> Path:
    """Copies a checkpoint of llama2.c's tiny models, and writes its vocabulary, tok512.bin, as tokenizer files.

    Stock transformers loads what this makes. Returns `out`.
    """
    out.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(checkpoint / name, out / name)
    model = out / "from-bin.model"
    model.write_bytes(_model((checkpoint / "tok512.bin").read_bytes()))
    give(None, model, context, out)
    model.unlink()
    return out


def _model(data: bytes) -> bytes:
    """Returns a SentencePiece model with the pieces of a llama2.c vocabulary: score, length and bytes of each."""
    kinds = protos.ModelProto.SentencePiece
    model, place, id = protos.ModelProto(), 4, 0
    while place < len(data):
        score, length = struct.unpack_from("<fi", data, place)
        text = data[place + 8 : place + 8 + length].decode()
        place, kind = place + 8 + length, kinds.BYTE if 3 <= id < 259 else kinds.NORMAL
        if id < 3:
            text, kind = ("<unk>", "<s>", "</s>")[id], kinds.CONTROL if id else kinds.UNKNOWN
        model.pieces.add(piece=text.replace(" ", "\u2581"), score=score, type=kind)
        id += 1
    model.trainer_spec.model_type, model.trainer_spec.byte_fallback = protos.TrainerSpec.BPE, True
    model.trainer_spec.vocab_size = id
    model.normalizer_spec.name, model.normalizer_spec.add_dummy_prefix = "identity", True
    model.normalizer_spec.remove_extra_whitespaces = False
    return model.SerializeToString()
