"""Size of the code, and the code executed by a forward pass.

Command: make stats   (or: python -m experiments.benchmarks.stats)   Cost: five seconds.

Blank lines, comments, docstrings and help texts of settings are not counted.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from types import FrameType

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "baichuan_jax"
LONGEST = 5


def code_lines(source: str) -> set[int]:
    """Return the line numbers of code."""
    tree = ast.parse(source)
    left_out: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            left_out |= set(range(node.lineno, node.end_lineno + 1))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "setting":
            for text in node.args[1:]:
                left_out |= set(range(text.lineno, text.end_lineno + 1)) - {node.lineno}
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    nothing = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    held = {line for token in tokens if token.type not in nothing for line in range(token.start[0], token.end[0] + 1)}
    return held - left_out


def functions(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (lines of code, name) of the functions of a file."""
    source = path.read_text(encoding="utf-8")
    lines = code_lines(source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            size = len(lines & set(range(node.lineno, node.end_lineno + 1)))
            yield size, f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"


def traced_apply() -> tuple[set[str], int]:
    """Return (files, lines) of the package that tracing a forward pass of the quickstart's model executes."""
    import jax

    from baichuan_jax.config.load import load
    from baichuan_jax.model.decoder import apply, param_shapes
    from baichuan_jax.model.execution import Batch
    from baichuan_jax.recipe.run_config import RunConfig

    cfg = load(ROOT / "configs/runs/quickstart.gin", (), RunConfig).config.model
    params, tokens = param_shapes(cfg), jax.ShapeDtypeStruct((1, 128), "int32")
    jax.eval_shape(lambda params, tokens: apply(cfg, params, Batch(tokens)), params, tokens)  # fills caches
    executed: set[tuple[str, int]] = set()

    def trace(frame: FrameType, event: str, _: object):
        path = frame.f_code.co_filename
        if not path.startswith(str(PACKAGE)):
            return None
        if event == "line":
            executed.add((path, frame.f_lineno))
        return trace

    sys.settrace(trace)
    try:
        jax.eval_shape(lambda params, tokens: apply(cfg, params, Batch(tokens)), params, tokens)
    finally:
        sys.settrace(None)
    return {str(Path(path).relative_to(PACKAGE)) for path, _ in executed}, len(executed)


def settings_count() -> int:
    """Return the number of settings of a run."""
    from baichuan_jax.config.literal import parts, values
    from baichuan_jax.recipe.run_config import RunConfig

    return sum(len(values(part)) for part in parts(RunConfig()))


def dependencies() -> list[str]:
    """Return the dependencies of an installation without extras."""
    required = re.search(r"install_requires=\[(.*?)\]", (ROOT / "setup.py").read_text(encoding="utf-8"), re.DOTALL)[1]
    return [re.split(r"[<>=\[]", name)[0] for name in re.findall(r'"([^"]+)"', required)]


def main() -> None:
    """Print the figures."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()  # there are no options: for --help
    files = {path: len(code_lines(path.read_text(encoding="utf-8"))) for path in sorted(PACKAGE.rglob("*.py"))}
    print(f"{sum(files.values()):,} lines of code in {len(files)} files, median {median(files.values()):.0f}")
    for path, size in sorted(files.items(), key=lambda item: -item[1])[:LONGEST]:
        print(f"    {size:5} {path.relative_to(ROOT)}")
    print("longest functions")
    for size, name in sorted((found for path in files for found in functions(path)), reverse=True)[:LONGEST]:
        print(f"    {size:5} {name}")
    print(f"{settings_count()} settings, {len(dependencies())} dependencies: {', '.join(dependencies())}")
    names, lines = traced_apply()
    print(f"apply of the quickstart's model: {lines} lines executed in {len(names)} files: {', '.join(sorted(names))}")


if __name__ == "__main__":
    main()
