"""Finding and loading a tokenizer, whatever its kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from baichuan_jax.core.errors import UserError
from baichuan_jax.tokenizer.adapters import HuggingFaceTokenizer, TiktokenTokenizer
from baichuan_jax.tokenizer.interface import AnyTokenizer
from baichuan_jax.tokenizer.tokenizer import Tokenizer

# In the order in which a directory with several is read.
KINDS: dict[str, Callable[[Path], AnyTokenizer]] = {
    ".model": Tokenizer,
    ".json": HuggingFaceTokenizer,
    ".tiktoken": TiktokenTokenizer,
}
STEM = "tokenizer"


def load_tokenizer(path: Path) -> AnyTokenizer:
    """Loads a tokenizer file, or the one of a directory (tokenizer.model, .json or .tiktoken).

    Raises UserError if there is none, or it is broken, of another kind, or of a package that is absent.
    """
    path = tokenizer_file(path)
    if path.suffix not in KINDS:
        raise UserError(f"{path}: no kind of tokenizer; endings: {', '.join(KINDS)}")
    return KINDS[path.suffix](path)


def tokenizer_file(path: Path) -> Path:
    """Returns the tokenizer file of a directory; where there is none, the one that is missed. A file is itself."""
    if not path.is_dir():
        return path
    found = [path / f"{STEM}{suffix}" for suffix in KINDS if (path / f"{STEM}{suffix}").exists()]
    return found[0] if found else path / f"{STEM}.model"


def find_tokenizers(folder: Path) -> dict[str, Path]:
    """Returns {name: file} of the tokenizers in a folder: baichuan-7b.model, falcon-7b.tokenizer.json."""
    files = [path for path in sorted(folder.glob("*")) if path.suffix in KINDS]
    return {path.name.removesuffix(path.suffix).removesuffix(f".{STEM}"): path for path in files}
