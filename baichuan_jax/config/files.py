"""Find config files: by path, or by the name of a shipped one. A file in the current directory wins.

The name of `configs/runs/quickstart.gin` is `quickstart`, that of `configs/model/1b.gin` is `model/1b`.
"""

from __future__ import annotations

from pathlib import Path

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.shipped import SHIPPED
from baichuan_jax.core.suggest import did_you_mean, nearest


def shipped_configs() -> dict[str, Path]:
    """Return {name: path} of everything in the shipped `configs/`, cluster templates included; runs first."""
    folder = SHIPPED / "configs"
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".gin", ".sh", ".yaml"))
    names = [path.relative_to(folder).as_posix().removesuffix(".gin").removeprefix("runs/") for path in paths]
    return dict(sorted(zip(names, paths), key=lambda item: item[1].parent.name != "runs"))


def purpose(path: Path) -> str:
    """Return the first sentence of the comment at the head of a config."""
    lines = path.read_text(encoding="utf-8").splitlines()
    start = 1 if lines[0].startswith("#!") else 0
    comment = []
    for line in lines[start:]:
        if not line.startswith("# "):
            break
        comment.append(line.removeprefix("# "))
    return " ".join(comment).partition(". ")[0].removesuffix(".")


def find_shipped(name: str) -> Path:
    """Return the shipped file of that name, or of that path (configs/...). Raise UserError if there is none."""
    known = shipped_configs()
    paths = {path.relative_to(SHIPPED).as_posix(): path for path in known.values()}
    if name not in known | paths:
        of_name = {Path(each).name: each for each in reversed(known)}
        hint = did_you_mean(of_name.get(name, name), known) or "; `baichuan-jax config list` names all"
        raise UserError(f"no config of the name {name!r} is shipped{hint}")
    return (known | paths)[name]


def find_config(name: str) -> Path:
    """Return the file of a path or name. Raise UserError with the nearest name if there is none."""
    if name.endswith(".gin"):
        return find_file(name)
    exists = Path.exists if "/" in name else Path.is_file  # a folder that is called `quickstart` is no config
    for base in (Path.cwd(), SHIPPED):
        for path in (base / name, *(base / place / f"{name}.gin" for place in ("", "configs/runs", "configs"))):
            if exists(path):
                return path.resolve()
    if Path(name).is_dir():
        return Path(name).resolve()
    beside = {path.stem: str(path) for path in sorted(Path(name).parent.glob("*.gin"))}
    known = {Path(each).stem: each for each in reversed(shipped_configs())} | beside
    guess = nearest(Path(name).name, known)
    hint = f"did you mean {known[guess]}?" if guess else "`baichuan-jax config list` names those that are shipped"
    raise UserError(f"no such config: {name!r}; {hint}")


def find_file(name: str, including: Path | None = None, cited: str = "") -> Path:
    """Return the first file of that path beside the file that includes it, then here, then among what is shipped.

    cited: "file:line: " of the include. Raise UserError with the nearest path if there is none.
    """
    bases = [*([including.parent] if including else []), Path.cwd(), SHIPPED]
    for base in bases:
        if (base / name).exists():
            return (base / name).resolve()
    beside = [path for base in bases for path in sorted((base / name).parent.glob("*.gin"))]
    known = {path.stem: path.resolve() for path in reversed([*beside, *shipped_configs().values()])}
    guess = nearest(Path(name).stem, known)
    hint = ""
    if guess:
        hint = f"; did you mean {display(known[guess])}?"
    elif beside:
        hint = f"; found beside it: {', '.join(dict.fromkeys(display(path.resolve()) for path in beside))}"
    raise UserError(f"{cited}no such config file: {name!r}{hint}")


def display(path: Path) -> str:
    """Return the path by which a file here, or a shipped config, is found; of another file, all of its path."""
    if path.is_relative_to(Path.cwd()):
        return str(path.relative_to(Path.cwd()))
    return str(path.relative_to(SHIPPED) if path.is_relative_to(SHIPPED / "configs") else path)
