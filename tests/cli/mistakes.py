"""Sixty mistakes of users, and what the one message about each has to say: what is wrong, and the way out.

The list was written before any message was changed for it. {config}: a small run that has not begun; {tmp}: its folder.
"""

from __future__ import annotations

from typing import NamedTuple


class Mistake(NamedTuple):
    """arguments: of the command, separated by |. wrong: what the message names. way_out: what it suggests."""

    arguments: str
    wrong: str
    way_out: str


def setting(text: str, wrong: str, way_out: str) -> Mistake:
    """Return the mistake of one --set of a run."""
    return Mistake(f"run|{{config}}|--set|{text}", wrong, way_out)


TYPOS = [
    setting("TrainConfig.step=5", "'step'", "did you mean 'steps'"),
    setting("TrainConfg.steps=5", "TrainConfg", "did you mean 'TrainConfig'"),
    setting("steps=5", "steps", "TrainConfig.steps"),
    setting("OptimConfig.lr=1e-3", "'lr'", "peak_lr"),
    setting("DecoderConfig.n_layers=2", "'n_layers'", "'layers'"),
    setting("OptimConfig.schedule=cosin", "OptimConfig.schedule", "did you mean 'cosine'"),
    setting("DecoderConfig.remat=ful", "DecoderConfig.remat", "'none', 'products' or 'block'"),
    setting("PositionConfig.kind=ropee", "PositionConfig.kind", "did you mean 'rope'"),
    setting("VOCABULARY=400", "VOCABULARY", "VOCAB"),
    setting("MixConfig.weights={'zhh': 1.0}", "MixConfig.weights", "did you mean 'zh'"),
    setting("AxisRules.embed='fsdpp'", "AxisRules.embed", "data, fsdp, context, tensor"),
    Mistake("trian|{config}", "trian", "did you mean 'train'"),
    Mistake("run|configs/runs/quikstart.gin", "quikstart.gin", "quickstart.gin"),
    Mistake("run|quikstart", "quikstart", "did you mean quickstart"),
    Mistake("experiment|zh_en_ration", "zh_en_ration", "did you mean 'zh_en_ratio'"),
    Mistake("plan|{config}|--target|v5:4x4", "v5", "v5e"),
    Mistake("convert import|{tmp}|{tmp}/out|--verfy", "--verfy", "--verify"),
]
TYPES = [
    setting("TrainConfig.steps=many", "TrainConfig.steps", "expected int"),
    setting("TrainConfig.steps=2.5", "TrainConfig.steps", "expected int"),
    setting("TrainConfig.steps=True", "TrainConfig.steps", "expected int"),
    setting("TrainConfig.steps=None", "TrainConfig.steps", "expected int"),
    setting("OptimConfig.peak_lr='high'", "OptimConfig.peak_lr", "expected float"),
    setting("SampleConfig.prompts=hello", "SampleConfig.prompts", "expected tuple"),
    setting("DataConfig.sources=['a', 'b']", "DataConfig.sources", "expected dict"),
    setting("MixConfig.weights={'zh': 'much'}", "MixConfig.weights", "expected float"),
    setting("MixConfig.packing=yes", "MixConfig.packing", "True or False"),
    setting("TrainConfig.steps", "TrainConfig.steps", "as in --set TrainConfig.steps=300"),
    setting("TrainConfig.steps=", "TrainConfig.steps", "expected int"),
    setting("MixConfig.weights={'zh': 1.0", "MixConfig.weights", "{'zh': 1.0"),
]
MESHES = [
    setting("MeshConfig.tensor=3", "MeshConfig", "number of devices, 8"),
    setting("MeshConfig.fsdp=0", "MeshConfig.fsdp", "-1"),
    setting("MeshConfig.data=-1", "MeshConfig", "at most one axis of size -1"),
    setting("TrainConfig.batch=7", "TrainConfig.batch", "multiple of the 8 devices"),
    setting("TrainConfig.accumulate=3", "TrainConfig.accumulate", "divisor of TrainConfig.batch = 8"),
    Mistake(
        "run|{config}|--set|MeshConfig.context=8|--set|TrainConfig.length=30", "TrainConfig.length", "multiple of the 8"
    ),
    Mistake("run|{config}|--set|MeshConfig.tensor=4|--set|DecoderConfig.heads=6", "heads", "divi"),
]
PATHS = [
    Mistake("run|{tmp}", "{tmp}", ".gin file"),
    Mistake("run|{tmp}/empty.gin", "sources", "DataConfig.sources"),
    Mistake("run|{tmp}/binary.gin", "binary.gin", "save the file as UTF-8"),
    Mistake("run|{tmp}/includes.gin", "quikstart.gin", "quickstart.gin"),
    setting("RunConfig.workdir={tmp}/file", "{tmp}/file", "directory"),
    setting("RunConfig.base={tmp}/nowhere", "RunConfig.base", "{tmp}/nowhere"),
    setting("DataConfig.sources={'zh': '{tmp}/gone.jsonl'}", "gone.jsonl", "DataConfig.sources"),
    setting("DataConfig.sources={'zh': '{tmp}/*.parquet'}", "*.parquet", "DataConfig.sources"),
    setting("DataConfig.sources={'zh': 'demo:zh_new'}", "zh_new", "zh_news"),
    setting("DataConfig.text_field=body", "body", "text"),
    setting("TokenizerConfig.file={tmp}/gone.model", "gone.model", "TokenizerConfig.file"),
    setting("TrainConfig.start={tmp}/nowhere", "TrainConfig.start", "checkpoint"),
]
CONFLICTS = [
    setting("OptimConfig.warmup_steps=12", "OptimConfig.warmup_steps", "less than TrainConfig.steps = 12"),
    setting("TokenizerConfig.vocab=9000", "TokenizerConfig.vocab", "at most DecoderConfig.vocab = 512"),
    setting("TrainConfig.length=1000", "TrainConfig.length", "at most DecoderConfig.context = 256"),
    setting("DecoderConfig.head_dim=15", "DecoderConfig.head_dim", "even"),
    setting("AttentionConfig.kv_heads=3", "AttentionConfig.kv_heads", "divisor"),
    setting("MixConfig.changes=((100, {'zh': 1.0}), (50, {'en': 1.0}))", "MixConfig.changes[1]", "more than 100"),
    setting("SampleConfig.temperature=-1.0", "SampleConfig.temperature", "0"),
    setting("SampleConfig.top_p=1.5", "SampleConfig.top_p", "1"),
    setting("SelectConfig.validation_fraction=1.5", "SelectConfig.validation_fraction", "1"),
    Mistake("train|{config}", "stage 'tokens' has not finished", "run"),
    Mistake("generate|{config}|--prompt|a", "has not finished", "run"),
    Mistake("branch|{config}|--step|5|--to|{tmp}/other", "checkpoint", "train"),
]
MISTAKES = [*TYPOS, *TYPES, *MESHES, *PATHS, *CONFLICTS]
