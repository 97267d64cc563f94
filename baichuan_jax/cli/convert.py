"""The verbs `convert import` and `convert export`: published checkpoints to ours, and ours to theirs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from baichuan_jax.cli.progress import bytes_progress, status
from baichuan_jax.config.literal import literal, parts, settings
from baichuan_jax.config.load import Loaded
from baichuan_jax.core.errors import UserError, require
from baichuan_jax.core.files import read_json, write_json, write_text
from baichuan_jax.core.lock import exclusive
from baichuan_jax.core.stage import Stage
from baichuan_jax.evaluate.config import EvaluateConfig
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.tokenizer import published
from baichuan_jax.tokenizer.beside import STEM
from baichuan_jax.tokenizer.load import tokenizer_file
from baichuan_jax.train.config import TrainConfig

CONFIG, CHECKPOINTS, LOCK = "config.gin", "checkpoints", ".lock"
LAYOUTS, DTYPES = ("baichuan", "llama"), ("float32", "bfloat16")
# What became of the output when it changed: a phrase is added whenever it does, as in `pipeline.RECIPES`.
IMPORT_CHANGES = ("its config holds from any folder, and names the tokenizer that can be read",)
EXPORT_CHANGES = ("tokenizer.json gives SentencePiece's ids for any text; ids and tokenizer are kept",)
IDS = ("bos_token_id", "eos_token_id", "pad_token_id")
console = Console(highlight=False)


def add_import_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what `convert import` takes."""
    verb.add_argument("source", type=Path, metavar="SOURCE", help="a directory with config.json and the weights")
    verb.add_argument("out", type=Path, metavar="OUT", help="the directory to make; OUT/config.gin is its config")
    _add_verify(verb)


def add_export_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what `convert export` takes beside a config."""
    verb.add_argument("out", type=Path, metavar="OUT", help="the directory to make")
    verb.add_argument("--layout", choices=LAYOUTS, required=True, help="llama is what stock transformers loads")
    verb.add_argument("--dtype", choices=DTYPES, help="of the tensors (default: as they are stored)")
    verb.add_argument("--file-gb", type=float, default=5.0, metavar="GB", help="of tensors in one file (default 5)")
    _add_verify(verb)


def _add_verify(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--verify", action="store_true", help="compare logits of both sides on a probe")


def import_weights(args: argparse.Namespace) -> None:
    """Turn a published checkpoint into one of ours, with a config that binds its shape.

    Raise UserError if the checkpoint is damaged, or not of an architecture that we compute exactly.
    """
    from baichuan_jax.convert.check import check
    from baichuan_jax.convert.hf_config import read_config
    from baichuan_jax.convert.load import load
    from baichuan_jax.convert.source import Source
    from baichuan_jax.train.checkpoint import newest_params

    source = Source(args.source)
    layout, model = read_config(source.config, source.directory / published.CONFIG)
    check(source, model, layout)

    def build(directory: Path) -> dict[str, Any]:
        with exclusive(directory / LOCK), bytes_progress("import") as progress:
            found = load(source, model, layout, directory / CHECKPOINTS, progress)
            taken = published.take(source.directory, directory)
            write_text(directory / CONFIG, _config(model, directory))
            (directory / LOCK).unlink()
        return {"layout": layout, **found, "taken": taken}

    files = (source.directory / published.CONFIG, *source.files)
    _run(Stage("import", args.out, tuple(map(_version, files)), unfinished="resume", changes=IMPORT_CHANGES), build)
    console.print(f"its config is {args.out / CONFIG}", soft_wrap=True)
    if not tokenizer_file(args.out).is_file():
        console.print(
            f"there is no tokenizer in {args.source}: name one before it generates, serves or is evaluated, "
            "TokenizerConfig.file in its config",
            soft_wrap=True,
        )
    if args.verify:
        _verify(args.source, newest_params(args.out / CHECKPOINTS), model)


def _version(file: Path) -> str:
    """Return what tells a file from another one: hashing gigabytes would take as long as to convert them."""
    stat = file.stat()
    return f"{file.name} = {stat.st_size} bytes, changed at {stat.st_mtime_ns} ns"


def _config(model: DecoderConfig, directory: Path) -> str:
    """Return gin text of a run that starts from the import and takes no step, from whatever folder it is started."""
    directory = directory.absolute()
    bound = {
        "RunConfig.workdir": str(directory / "run"),
        "TokenizerConfig.file": str(tokenizer_file(directory)),
        "TokenizerConfig.vocab": model.vocab,
        "TrainConfig.start": str(directory / CHECKPOINTS),
        "TrainConfig.steps": 0,
        "TrainConfig.length": min(TrainConfig.length, model.context),
        "EvaluateConfig.length": min(EvaluateConfig.length, model.context),
    }
    lines = [f"{name} = {literal(value)}" for name, value in bound.items()]
    lines += [line for part in parts(model) for line in settings(part)]
    return "# What `convert import` found: the weights as they are. Give TrainConfig.steps to train on.\n" + "".join(
        f"{line}\n" for line in lines
    )


def _run(stage: Stage, build: Callable[[Path], dict[str, Any]]) -> None:
    try:
        stage.directory.mkdir(parents=True, exist_ok=True)
        result, skipped = stage.run(build)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise UserError(f"cannot write in {stage.directory} ({error.strerror})") from error
    if skipped:
        console.print(f"[green]✓[/] {stage.name}: done before, skipped", soft_wrap=True)
        return
    console.print(
        f"[green]✓[/] {stage.name}: {result['parameters']:,} parameters, {result['bytes'] / 1e6:,.1f} MB of "
        f"{', '.join(result['dtypes'])}, layout {result['layout']} ({result['seconds']:.1f} s)",
        soft_wrap=True,
    )


def export_weights(loaded: Loaded, args: argparse.Namespace) -> None:
    """Write the newest parameters of a run, or those it starts from, as a published checkpoint.

    Raise UserError if there are none, or if the layout cannot express the decoder.
    """
    import numpy as np

    from baichuan_jax.cli.stages.trained import checkpoints_of
    from baichuan_jax.convert.publish import publish, write_config
    from baichuan_jax.convert.safetensors import BFLOAT16
    from baichuan_jax.convert.save import save
    from baichuan_jax.train.checkpoint import newest_params

    require(args.file_gb > 0, "--file-gb", args.file_gb, "a size above 0")
    config: RunConfig = loaded.config
    model, params = publish(config.model, args.layout), newest_params(checkpoints_of(config, Path(config.workdir)))
    dtype = {None: None, "float32": np.dtype(np.float32), "bfloat16": BFLOAT16}[args.dtype]

    def build(directory: Path) -> dict[str, Any]:
        with exclusive(directory / LOCK), bytes_progress("export") as progress:
            found = save(params, config.model, args.layout, dtype, int(args.file_gb * 1e9), directory, progress)
            stored = found["dtypes"][0] if len(found["dtypes"]) == 1 else "float32"
            text = write_config(model, args.layout, stored) | _beside(config, directory)
            write_json(directory / published.CONFIG, text)
            (directory / LOCK).unlink()
        return {"layout": args.layout, **found}

    options = (f"{name} = {value}" for name, value in (("layout", args.layout), ("dtype", args.dtype)))
    shape = (line for part in parts(config.model) for line in settings(part))
    made_of = (_version(params / "_METADATA"), *options, f"file_gb = {args.file_gb}", *shape)
    _run(Stage("export", args.out, made_of, unfinished="resume", changes=EXPORT_CHANGES), build)
    if args.verify:
        _verify(args.out, params, config.model)


def _beside(config: RunConfig, directory: Path) -> dict[str, Any]:
    """Write the tokenizer files and the generation config; return the ids that config.json is to name.

    The files are those that were published with the tokenizer, if it is that of an import, whatever the weights are.
    """
    from baichuan_jax.cli.stages.trained import load_tokenizer, tokenizer_place

    file = tokenizer_file(tokenizer_place(config, Path(config.workdir)))
    origin = file.parent if config.tokenizer.file and file.stem == STEM else None
    ids: dict[str, Any] = dict.fromkeys(IDS)
    if file.is_file():
        tokenizer = load_tokenizer(config, Path(config.workdir))
        ids |= {"bos_token_id": tokenizer.bos, "eos_token_id": tokenizer.eos}
        published.give(origin, file, tokenizer, config.model.context, directory)
    else:
        console.print(f"there is no tokenizer at {file}: the export has none", soft_wrap=True)
    if origin and (origin / published.CONFIG).is_file():
        known = read_json(origin / published.CONFIG)
        ids |= {name: known[name] for name in IDS if name in known}
    if not (directory / published.GENERATION).exists():
        sample = config.sample
        how = {"do_sample": True, "temperature": sample.temperature, "top_p": sample.top_p}
        # No max_new_tokens: in transformers it would win over the max_length that lm-eval asks for.
        found = {**ids, **(how if sample.temperature else {"do_sample": False})}
        write_json(directory / published.GENERATION, found)
    return ids


def _verify(source: Path, params: Path, model: DecoderConfig) -> None:
    from baichuan_jax.convert.verify import verify

    with status("comparing logits"):
        difference = verify(source, params, model)
    console.print(f"[green]✓[/] logits of both on a probe differ by {difference:.1e} of the largest", soft_wrap=True)
