"""Published checkpoints to ours, and ours to theirs: resumable, and skipped when they are finished."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from baichuan_jax.chat.config import AUTO
from baichuan_jax.config.literal import literal, parts, settings
from baichuan_jax.core.errors import UserError, require
from baichuan_jax.core.files import write_json, write_text
from baichuan_jax.core.interrupt import unwinding
from baichuan_jax.core.json_object import read_object
from baichuan_jax.core.lock import exclusive
from baichuan_jax.core.stage import Stage
from baichuan_jax.evaluate.config import EvaluateConfig
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.recipe.checkpoints import base_checkpoints, checkpoints_of, has_adapters
from baichuan_jax.recipe.pipeline import Pipeline
from baichuan_jax.recipe.progress import Progress, Tell
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.recipe.stages.tokenizer import load_run_tokenizer, tokenizer_place
from baichuan_jax.recipe.workdir import CONFIG, LOCK
from baichuan_jax.tokenizer import checkpoint_files
from baichuan_jax.tokenizer.special_tokens import STEM
from baichuan_jax.tokenizer.tokenizer_files import tokenizer_file
from baichuan_jax.train.config import CHECKPOINTS, TrainConfig

if TYPE_CHECKING:
    import numpy as np

    from baichuan_jax.convert.merged import Addition
    from baichuan_jax.recipe.adapters import RunAdapters

# What became of the output when it changed: a phrase is added whenever it does, as in a `StageSpec`.
IMPORT_CHANGES = ("its config holds from any folder, and names the tokenizer that can be read",)
EXPORT_CHANGES = ("tokenizer.json gives SentencePiece's ids for any text; ids and tokenizer are kept",)
IDS = ("bos_token_id", "eos_token_id", "pad_token_id")


class Converted(NamedTuple):
    """What a conversion has found.

    params: our side. has_tokenizer: whether there is one beside the weights."""

    result: dict[str, Any]
    skipped: bool
    params: Path
    model_cfg: DecoderConfig
    has_tokenizer: bool
    addition: Addition | None = None


def import_checkpoint(source: Path, out: Path, progress: Progress) -> Converted:
    """Turn a published checkpoint into one of ours, with a config that binds its shape: out/config.gin.

    Raise UserError if the checkpoint is damaged, or not of an architecture that we compute exactly.
    """
    from baichuan_jax.convert.check import check
    from baichuan_jax.convert.hf_config import read_config
    from baichuan_jax.convert.load import load
    from baichuan_jax.convert.source import Source
    from baichuan_jax.train.checkpoint import newest_params

    theirs = Source(source)
    layout, model_cfg = read_config(theirs.config, theirs.directory / checkpoint_files.CONFIG)
    check(theirs, model_cfg, layout)

    def build(directory: Path) -> dict[str, Any]:
        with exclusive(directory / LOCK), progress.units("import") as tell:
            found = load(theirs, model_cfg, layout, directory / CHECKPOINTS, _megabytes(tell))
            taken = checkpoint_files.copy_checkpoint_files(theirs.directory, directory)
            write_text(directory / CONFIG, _config(model_cfg, directory))
            (directory / LOCK).unlink()
        return {"layout": layout, **found, "taken": taken}

    files = (theirs.directory / checkpoint_files.CONFIG, *theirs.files)
    made_of = tuple(map(_version, files))
    result, skipped = _run(Stage("import", out, made_of, unfinished="resume", changes=IMPORT_CHANGES), build)
    return Converted(result, skipped, newest_params(out / CHECKPOINTS), model_cfg, tokenizer_file(out).is_file())


def export_checkpoint(
    config: RunConfig,
    out: Path,
    layout: Literal["baichuan", "llama"],
    progress: Progress,
    dtype: Literal["float32", "bfloat16"] | None = None,
    file_bytes: int = 5 * 10**9,
) -> Converted:
    """Write the newest parameters of a run, or those it starts from, as a published checkpoint; adapters are merged.

    Raise UserError if there are none, or if the layout cannot express the decoder.
    """
    from baichuan_jax.convert.publish import publish, write_config
    from baichuan_jax.convert.save import save
    from baichuan_jax.train.checkpoint import newest_params

    model, params = publish(config.model, layout), newest_params(_whole(config))
    addition = _addition(config, params, progress)
    if config.train.steps:
        Pipeline(config).check_tokens()
    tokenizer = tokenizer_file(tokenizer_place(config))
    chat = _chat_template(config) if tokenizer.is_file() else None
    stored_as = _dtype(dtype) if dtype else None

    def build(directory: Path) -> dict[str, Any]:
        with exclusive(directory / LOCK), progress.units("export") as tell:
            found = save(params, config.model, layout, stored_as, file_bytes, directory, _megabytes(tell), addition)
            stored = found["dtypes"][0] if len(found["dtypes"]) == 1 else "float32"
            content = write_config(model, layout, stored) | _beside(config, directory)
            write_json(directory / checkpoint_files.CONFIG, content)
            if chat:
                checkpoint_files.write_chat_template(directory, *chat)
            (directory / LOCK).unlink()
        return {"layout": layout, **found}

    options = [f"layout = {layout}", f"dtype = {dtype}", f"file_gb = {file_bytes / 1e9}"]
    options += [f"chat_template = {chat}"] if chat else []
    shape = (line for part in parts(config.model) for line in settings(part))
    made_of = (_version(params / "_METADATA"), *options, *(_adapters_made_of(config) if addition else ()), *shape)
    result, skipped = _run(Stage("export", out, made_of, unfinished="resume", changes=EXPORT_CHANGES), build)
    return Converted(result, skipped, params, config.model, tokenizer.is_file(), addition)


def export_adapter(
    config: RunConfig, out: Path, dtype: Literal["float32", "bfloat16"] | None = None
) -> tuple[dict[str, Any], bool]:
    """Write the newest adapters of a run alone, in PEFT's layout; return (what is in them, whether it was there).

    Their base is the run's in the layout "llama". Raise UserError if the run has no adapters, or if that layout cannot
    express the decoder.
    """
    from baichuan_jax.convert.peft import PeftAdapter, write_adapter
    from baichuan_jax.convert.publish import publish

    require(has_adapters(config), "LoraConfig.rank", config.lora.rank, "a run that has tuned adapters")
    publish(config.model, "llama")
    found = _on_one_device(config)

    def build(directory: Path) -> dict[str, Any]:
        adapter = PeftAdapter(found.cfg, found.adapters, found.base)
        return {"layout": "peft", **write_adapter(adapter, config.model, _dtype(dtype or "float32"), directory)}

    made_of = (f"dtype = {dtype}", *_adapters_made_of(config))
    return _run(Stage("export adapter", out, made_of), build)


def _whole(config: RunConfig) -> Path:
    """Return the directory of the newest checkpoints that have every parameter."""
    return base_checkpoints(config) if has_adapters(config) else checkpoints_of(config)


def _addition(config: RunConfig, params: Path, progress: Progress) -> Addition | None:
    """Return what is to be merged into parameters, if anything is. Raise UserError if these are of another base."""
    from baichuan_jax.convert.merged import Addition, stored_fingerprint
    from baichuan_jax.recipe.adapters import check_base

    if not has_adapters(config):
        return None
    found = _on_one_device(config)
    check_base(found, config, stored_fingerprint(params, config.model), progress)
    return Addition(found.cfg, found.adapters)


def _on_one_device(config: RunConfig) -> RunAdapters:
    """Return the adapters of a run in memory, whatever devices they were trained on."""
    import jax

    from baichuan_jax.parallel.config import AxisRules, MeshConfig
    from baichuan_jax.parallel.layout import Layout
    from baichuan_jax.parallel.mesh import make_mesh
    from baichuan_jax.recipe.adapters import load_adapters

    found = load_adapters(config, Layout(make_mesh(MeshConfig(), jax.devices()[:1]), AxisRules()))
    return found._replace(adapters=jax.device_get(found.adapters))


def _adapters_made_of(config: RunConfig) -> tuple[str, ...]:
    from baichuan_jax.train.checkpoint import newest_params

    stored = config.lora.adapter_files or (newest_params(checkpoints_of(config)) / "_METADATA",)
    return *(f"adapters {_version(file)}" for file in stored), *settings(config.lora)


def _dtype(name: Literal["float32", "bfloat16"]) -> np.dtype:
    import numpy as np

    from baichuan_jax.convert.safetensors import BFLOAT16

    return np.dtype(np.float32) if name == "float32" else BFLOAT16


def _megabytes(tell: Tell) -> Callable[[int, int], None]:
    return lambda done, count: tell("MB", done // 10**6, count // 10**6)


def _version(file: Path) -> str:
    """Return what tells a file from another one: hashing gigabytes would take as long as to convert them."""
    stat = file.stat()
    return f"{file.name} = {stat.st_size} bytes, changed at {stat.st_mtime_ns} ns"


def _run(stage: Stage, build: Callable[[Path], dict[str, Any]]) -> tuple[dict[str, Any], bool]:
    try:
        stage.directory.mkdir(parents=True, exist_ok=True)
        with unwinding():  # a file of gigabytes that is not whole yet goes
            return stage.run(build)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise UserError(f"cannot write in {stage.directory} ({error.strerror})") from error


def _config(model_cfg: DecoderConfig, directory: Path) -> str:
    """Return gin text of a run that starts from the import and takes no step, from whatever folder it is started."""
    directory = directory.absolute()
    bound = {
        "RunConfig.workdir": str(directory / "run"),
        "TokenizerConfig.file": str(tokenizer_file(directory)),
        "TokenizerConfig.vocab": model_cfg.vocab,
        "TrainConfig.start": str(directory / CHECKPOINTS),
        "TrainConfig.steps": 0,
        "TrainConfig.length": min(TrainConfig.length, model_cfg.context),
        "EvaluateConfig.length": min(EvaluateConfig.length, model_cfg.context),
    }
    lines = [f"{name} = {literal(value)}" for name, value in bound.items()]
    lines += [line for part in parts(model_cfg) for line in settings(part)]
    return "# What `convert import` found: the weights as they are. Give TrainConfig.steps to train on.\n" + "".join(
        f"{line}\n" for line in lines
    )


def _chat_template(config: RunConfig) -> tuple[str, tuple[int, ...]] | None:
    """Return the template that ChatConfig names with the ids that end an answer; None for the tokenizer's own.

    Raise UserError if the tokenizer cannot serve it.
    """
    from baichuan_jax.chat.load import exported_template, load_chat_template

    if config.chat.template == AUTO:
        return None
    tokenizer = load_run_tokenizer(config)
    stops = load_chat_template(config.chat, tokenizer, tokenizer_file(tokenizer_place(config))).end_ids
    return exported_template(config.chat, tokenizer), stops


def _beside(config: RunConfig, directory: Path) -> dict[str, Any]:
    """Write the tokenizer files and the generation config; return the ids that config.json is to name.

    The files are those that were published with the tokenizer, if it is that of an import, whatever the weights are.
    """
    file = tokenizer_file(tokenizer_place(config))
    origin = file.parent if config.tokenizer.file and file.stem == STEM else None
    ids: dict[str, Any] = dict.fromkeys(IDS)
    if file.is_file():
        tokenizer = load_run_tokenizer(config)
        ids |= {"bos_token_id": tokenizer.bos, "eos_token_id": tokenizer.eos}
        checkpoint_files.write_checkpoint_files(origin, file, tokenizer, config.model.context, directory)
    if origin and (origin / checkpoint_files.CONFIG).is_file():
        known = read_object(origin / checkpoint_files.CONFIG)
        ids |= {name: known[name] for name in IDS if name in known}
    if not (directory / checkpoint_files.GENERATION).exists():
        sample = config.sample
        how = {"do_sample": True, "temperature": sample.temperature, "top_p": sample.top_p}
        # No max_new_tokens: in transformers it would win over the max_length that lm-eval asks for.
        found = {**ids, **(how if sample.temperature else {"do_sample": False})}
        write_json(directory / checkpoint_files.GENERATION, found)
    return ids
