"""Setting -> (settings that it needs, another value of it, what the change can be seen in).

An observer takes a config and an empty directory and returns what it saw: a lowered program, files, answers, an error.
That must be the same for equal configs. The current directory is the one that `training.prepare` has filled.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from tests.settings.base import TRAINED
from tests.settings.corpus import corpus, engine, kept_programs, places, tokenizer
from tests.settings.serving import asked, continuations, decoding, evaluation, served
from tests.settings.training import (
    boards,
    initial,
    partitioned,
    partitioned_scoring,
    program,
    scoring,
    spikes,
    training,
    update,
)
from tests.settings.tuning import conversations, split_tuning, tuning


class Row(NamedTuple):
    """base: settings beside those of `SMALL`. error: part of the message, if the change is refused."""

    base: dict[str, Any]
    changed: Any
    observer: Callable
    error: str = ""


def rows(
    section: str, observer: Callable, base: dict[str, Any] | None = None, error: str = "", **changes: Any
) -> dict[str, Row]:
    return {f"{section}.{name}": Row(base or {}, value, observer, error) for name, value in changes.items()}


def position(**settings: Any) -> dict[str, Any]:
    return {f"PositionConfig.{name}": value for name, value in settings.items()}


LINEAR = position(scaling="linear", factor=4.0)
YARN = position(scaling="yarn", factor=4.0, original_context=4096)
TWO = {"DecoderConfig.layers": 2}
FIXED = TWO | {"AttentionConfig.pattern": ("fixed",), "AttentionConfig.window": 4, "AttentionConfig.summary": 1}
LEARNED = position(kind="learned")
XLA = {"AttentionConfig.implementation": "xla"}
LARGE = {"TrainConfig.batch": 64, "TrainConfig.length": 64, "DecoderConfig.inner": 512}  # logits and inner over 1 MiB
MESH = {f"MeshConfig.{name}": size for name, size in {"data": 2, "fsdp": 2, "context": 1, "tensor": 2}.items()}
SPLIT = MESH | {"MeshConfig.data": 1, "MeshConfig.context": 2}

JUDGED = {
    "DataConfig.sources": {"news": "news.jsonl", "reviews": "reviews.jsonl", "en": "en-*.jsonl"},
    "QualityConfig.good": ("news",),
    "QualityConfig.bad": ("reviews",),
    "DedupConfig.documents": 0.0,
    "DedupConfig.sentences": 0.0,
}
UNSCORED = JUDGED | {"QualityConfig.unscored": ("en",)}
EXAM = {"exam": "exam.jsonl"}
BLOCKED = {"FilterConfig.blocked_words": ("赌博",)}
SLURM = {"RunnerConfig.kind": "slurm", "RunnerConfig.partition": "cpu"}
VANISHED = {"DataConfig.sources": {"zh": "zh.jsonl", "one": "one.jsonl"}, "RunnerConfig.vanished": "skip"}
STARTED = {"TrainConfig.start": "weights/checkpoints"}
CHATS = {"InstructionConfig.sources": {"chats": "chats.jsonl", "talks": "talks.jsonl"}}
ADAPTERS = {"TuneConfig.steps": 8, "TuneConfig.length": 16, "TuneConfig.warmup_steps": 1, "LoraConfig.rank": 2}
QWEN3 = {"ChatConfig.template": "qwen3"}
GREEDY = TRAINED | {"SampleConfig.temperature": 0.0}
OPEN = TRAINED | {"ServeConfig.port": 0, "ServeConfig.max_open": 5}

TABLE: dict[str, Row] = {
    **rows("RunConfig", places, workdir="another"),
    "RunConfig.base": Row({}, "nowhere", tokenizer, "no run is there"),
    **rows(
        "DataConfig",
        corpus,
        sources={"zh": "zh.jsonl", "en": "en-0.jsonl"},
        licences={"zh": "CC0"},
        text_field="more",
        text_fields={"zh": "more"},
        max_bytes=3000,
        task_bytes=1,
    ),
    **rows("DataConfig", corpus, {}, "zh.jsonl:29: not JSON", damaged="stop"),
    **rows(
        "DataConfig",
        corpus,
        {},
        "characters are invalid in 'gbk', set in DataConfig.encodings",
        encodings={"zh": "gbk"},
    ),
    **rows("FilterConfig", corpus, chinese="traditional", blocked_words=("赌博",), sentences=False),
    **rows("FilterConfig", corpus, BLOCKED, max_blocked=1),
    **rows("QualityConfig", corpus, JUDGED, good=(), bad=("rejected",), features=12, examples=40),
    **rows("QualityConfig", corpus, UNSCORED, cut=0.5, sentence_cut=0.5),
    **rows("QualityConfig", corpus, UNSCORED | {"QualityConfig.cut": 0.5}, "no quality model for text in", unscored=()),
    **rows("DedupConfig", corpus, documents=0.0, sentences=0.0, sentence_documents=3, contained=0.4, memory=64),
    **rows(
        "SelectConfig", corpus, validation_fraction=0.4, max_bytes={"zh": 2000}, evaluation_sets={"exam": "exam.jsonl"}
    ),
    **rows("SelectConfig", corpus, {"SelectConfig.evaluation_sets": EXAM}, ngram=5),
    **rows("RunnerConfig", engine, kind="ray", workers=2),
    **rows("RunnerConfig", engine, SLURM, partition="gpu", time="01:00:00", setup="module load python", memory=9),
    **rows("RunnerConfig", engine, {"RunnerConfig.kind": "ray"}, address="auto"),
    **rows("RunnerConfig", corpus, VANISHED, "RunnerConfig.vanished=skip", vanished="stop"),
    **rows(
        "TokenizerConfig",
        tokenizer,
        file="run/tokenizer/tokenizer.model",
        vocab=460,
        character_coverage=1.0,
        sample_bytes=2000,
        zh_share=0.1,
        words=0.2,
        bos="on",
        threads=1,
        shard_bytes=500,
    ),
    **rows("TokenizerConfig", tokenizer, {"TokenizerConfig.sample_bytes": 4000}, weights={"zh": 0.2}),
    **rows("TokenizerConfig", tokenizer, {"TokenizerConfig.vocab": 850, "DecoderConfig.vocab": 850}, layout="baichuan"),
    **rows(
        "DecoderConfig",
        scoring,
        vocab=500,
        layers=3,
        hidden=64,
        heads=2,
        head_dim=16,
        inner=128,
        feed_forward="geglu",
        norm="layer",
        norm_eps=1e-5,
    ),
    **rows("DecoderConfig", program, remat="block"),
    **rows("DecoderConfig", scoring, LEARNED, context=32),
    **rows("DecoderConfig", initial, init_std=0.5),
    **rows("PositionConfig", scoring, kind="alibi", rope_base=5e5),
    **rows("PositionConfig", scoring, LINEAR, scaling="ntk", factor=2.0),
    **rows("PositionConfig", scoring, YARN, original_context=64, fast=2.0, slow=16.0, attention_factor=1.0),
    **rows("AttentionConfig", scoring, kv_heads=2, soft_cap=5.0, qk_norm=True),
    **rows("AttentionConfig", scoring, XLA, implementation="chunked"),
    **rows("AttentionConfig", scoring, FIXED, pattern=("fixed", "full"), window=5, summary=2),
    **rows("HeadConfig", scoring, tied=True, normalised=True, soft_cap=5.0),
    **rows("MixConfig", training, STARTED, weights={"zh": 1.0}, packing=True),
    **rows("MixConfig", training, STARTED, changes=((20, {"zh": 1.0}),)),
    **rows("MixConfig", training, STARTED | {"MixConfig.changes": ((20, {"zh": 1.0}),)}, ramp=400),
    "MixConfig.max_epochs": Row(STARTED, 0.001, training, "raise max_epochs"),
    **rows("TrainConfig", program, batch=16, length=32, accumulate=2, max_z=1e-4),
    **rows("TrainConfig", program, {"TrainConfig.compute_dtype": "float32"}, compute_dtype="bfloat16"),
    **rows("TrainConfig", program, LARGE, logits_mb=1, inner_mb=1),
    **rows(
        "TrainConfig",
        training,
        STARTED,
        steps=4,
        log_every=2,
        eval_every=2,
        eval_windows=1,
        checkpoint_every=1,
    ),
    **rows("TrainConfig", training, start="weights/checkpoints"),
    **rows("TrainConfig", initial, seed=1),
    **rows("TrainConfig", training, STARTED | {"TrainConfig.checkpoint_every": 1}, keep=1),
    **rows("RetentionConfig", training, STARTED | {"TrainConfig.checkpoint_every": 1}, every=1, minutes=1e-9),
    **rows(
        "OptimConfig",
        update,
        optimizer="muon",
        peak_lr=1e-3,
        warmup_steps=2,
        final_lr_ratio=0.5,
        schedule="linear",
        b1=0.8,
        b2=0.99,
        eps=1e-6,
        weight_decay=0.2,
        clip=0.5,
        moments="bfloat16",
    ),
    **rows("OptimConfig", update, {"OptimConfig.schedule": "wsd"}, decay_share=0.5),
    **rows("SpikeConfig", spikes, {"SpikeConfig.score": 9.0}, score=1.0, window=64),
    **rows("SpikeConfig", spikes, error="went back 1 times", rollbacks=1),
    **rows(
        "InstructionConfig",
        conversations,
        CHATS,
        sources={"talks": "talks.jsonl"},
        fields={"instruction": "question"},
        roles={"bot": "assistant"},
        held_out=0.5,
        long="drop",
        packing=False,
        weights={"chats": 1.0, "talks": 0.0},
    ),
    **rows("InstructionConfig", conversations, CHATS, "['talks']: of 30 records none", format="alpaca"),
    **rows("InstructionConfig", conversations, CHATS, "['talks']: of 30 records", formats={"talks": "prompt"}),
    **rows("InstructionConfig", conversations, CHATS, "1 of 30 records are bad", max_bad=0.0),
    **rows(
        "TuneConfig",
        tuning,
        ADAPTERS,
        steps=9,
        batch=8,
        length=32,
        accumulate=2,
        seed=1,
        peak_lr=1e-3,
        warmup_steps=2,
        schedule="linear",
        weight_decay=0.1,
        eval_every=3,
        checkpoint_every=3,
    ),
    **rows("LoraConfig", tuning, ADAPTERS, rank=3, alpha=8.0, drop=0.1, targets=("mlp.up",)),
    "LoraConfig.base": Row(ADAPTERS, "int8", tuning),
    "LoraConfig.adapter": Row(TRAINED, "nowhere", evaluation, "there is no nowhere/adapter_config.json"),
    **rows("ProfileConfig", training, STARTED, first=2),
    **rows("ProfileConfig", training, STARTED | {"ProfileConfig.first": 1}, steps=1),
    **rows("WandbConfig", boards, project="mine"),
    **rows("WandbConfig", boards, {"WandbConfig.project": "mine"}, mode="offline"),
    **rows("MeshConfig", partitioned_scoring, MESH | {"MeshConfig.fsdp": -1}, data=1, context=2, tensor=1),
    **rows("MeshConfig", partitioned_scoring, MESH | {"MeshConfig.data": -1}, fsdp=4),
    **rows(
        "AxisRules",
        partitioned_scoring,
        SPLIT,
        batch=None,
        hidden="tensor",
        table_embed="tensor",
        embed="fsdp",
        heads=None,
        kv_heads=None,
        mlp=None,
        vocab=None,
    ),
    **rows("AxisRules", partitioned, SPLIT, length=None),
    **rows("AxisRules", partitioned_scoring, MESH | LEARNED | TWO, layers="data", positions="data", norm="data"),
    **rows("AxisRules", split_tuning, MESH | ADAPTERS, lora_rank="data"),
    **rows("AxisRules", partitioned_scoring, SPLIT | {"AxisRules.table_embed": None}, table_vocab="fsdp"),
    **rows(
        "AxisRules",
        partitioned_scoring,
        SPLIT | {"AxisRules.heads": None, "AxisRules.kv_heads": None},
        head_dim="tensor",
    ),
    **rows("CompilationCacheConfig", kept_programs, directory="programs", max_bytes=1500),
    **rows("EvaluateConfig", evaluation, TRAINED, length=8, batch=24, windows=1),
    **rows("SampleConfig", continuations, TRAINED, top_k=1, top_p=0.01, seed=1),
    **rows(
        "SampleConfig",
        continuations,
        GREEDY,
        prompts=("we", "do"),
        max_tokens=2,
        temperature=5.0,
        repetition_penalty=0.01,
        stop=("e", "a", "t", "o", " "),
    ),
    **rows("EngineConfig", decoding, TRAINED, slots=4, burst=3, weights="int8", cache="int8"),
    "ChatConfig.template": Row(QWEN3, "gemma", asked),
    "ChatConfig.thinking": Row(QWEN3, False, asked),
    **rows(
        "ServeConfig",
        served,
        OPEN,
        host="127.0.0.2",
        port=18765,
        max_body=1000,
        max_open=8,
        grace=2.0,
        warm_up=1.0,
        name="ours",
    ),
}
