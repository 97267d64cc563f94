"""Find and load tokenizers of all kinds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from baichuan_jax.core.errors import UserError
from baichuan_jax.tokenizer.adapters import HuggingFaceTokenizer, TiktokenTokenizer
from baichuan_jax.tokenizer.interface import AnyTokenizer, check_file
from baichuan_jax.tokenizer.model_file import is_model
from baichuan_jax.tokenizer.sentencepiece_tokenizer import SentencePieceTokenizer
from baichuan_jax.tokenizer.special_tokens import STEM

# The first of these that a directory has is read.
KINDS: dict[str, Callable[[Path], AnyTokenizer]] = {
    ".model": SentencePieceTokenizer,
    ".json": HuggingFaceTokenizer,
    ".tiktoken": TiktokenTokenizer,
}
EARLIER = "earlier"  # beside "auto", "on" and "off": the behaviour before this setting existed


def load_tokenizer(path: Path, bos: str = "auto") -> AnyTokenizer:
    """Return the tokenizer of a file, or of a directory (tokenizer.model, .json or .tiktoken).

    bos: a value of TokenizerConfig.bos, or EARLIER. Raise UserError if the tokenizer is missing, broken or of an
    unknown kind, if its package is not installed, or if BOS is requested and not defined.
    """
    path = tokenizer_file(path)
    check_file(path)
    if path.suffix not in KINDS:
        raise UserError(f"{path}: unsupported tokenizer file; supported endings: {', '.join(KINDS)}")
    tokenizer = KINDS[path.suffix](path)
    if bos == EARLIER:
        _begin_as_earlier(tokenizer)
    elif bos == "off":
        tokenizer.begin = ()
    elif bos == "on" and not tokenizer.begin:
        if tokenizer.bos is None:
            raise UserError(
                f"TokenizerConfig.bos = 'on': neither {path} nor the files beside it define BOS; set it to 'off', or "
                "define bos_token in tokenizer_config.json"
            )
        tokenizer.begin = (tokenizer.bos,)
    return tokenizer


def _begin_as_earlier(tokenizer: AnyTokenizer) -> None:
    """Prepend BOS as runs did before TokenizerConfig.bos existed: always, with new ids if the tokenizer has none."""
    size = tokenizer.vocab
    if tokenizer.bos is None:
        tokenizer.bos = size if tokenizer.eos is None else tokenizer.eos
    if tokenizer.eos is None:
        tokenizer.eos = size + 1
    tokenizer.begin = (tokenizer.bos,)
    tokenizer.vocab = max(size, tokenizer.bos + 1, tokenizer.eos + 1)


def tokenizer_file(path: Path) -> Path:
    """Return the tokenizer file of a directory, tokenizer.model if there is none; a file is returned as it is.

    A tokenizer.model that is not a SentencePiece model (LLaMA 3's is tiktoken's) is ignored if there is another file.
    """
    if not path.is_dir():
        return path
    found = [file for suffix in KINDS if (file := path / f"{STEM}{suffix}").exists()]
    model = path / f"{STEM}.model"
    if len(found) > 1 and model in found and not is_model(model.read_bytes()):
        found.remove(model)
    return found[0] if found else model


def find_tokenizers(folder: Path) -> dict[str, Path]:
    """Return {name: file} of the tokenizers in a folder: baichuan-7b.model, falcon-7b.tokenizer.json."""
    files = [path for path in sorted(folder.glob("*")) if path.suffix in KINDS]
    return {path.name.removesuffix(path.suffix).removesuffix(f".{STEM}"): path for path in files}
