"""A run as an object: the whole recipe from Python."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from shutil import copy, copytree, rmtree
from typing import TYPE_CHECKING, Any, TypeVar

from baichuan_jax.config.literal import parts
from baichuan_jax.core.errors import UserError
from baichuan_jax.core.metrics import FILE as METRICS
from baichuan_jax.core.metrics import REJECTED, read_metrics
from baichuan_jax.core.process_group import SINGLE_PROCESS, ProcessGroup
from baichuan_jax.core.stage import finished_in
from baichuan_jax.recipe.load import Overrides, load_config
from baichuan_jax.recipe.pipeline import Pipeline
from baichuan_jax.recipe.progress import Progress
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.recipe.spec import StageResult
from baichuan_jax.recipe.stages.evaluate import EvaluateResult
from baichuan_jax.recipe.stages.report import ReportResult
from baichuan_jax.recipe.stages.report import build as build_report
from baichuan_jax.recipe.stages.tokenizer import load_run_tokenizer, tokenizer_place
from baichuan_jax.recipe.table import STAGES, made_from
from baichuan_jax.recipe.workdir import CONFIG
from baichuan_jax.train.config import BATCH_HASHES, CHECKPOINTS, checkpoint_steps

if TYPE_CHECKING:
    from baichuan_jax.chat.encode import ChatTemplate
    from baichuan_jax.generate.engine import Engine
    from baichuan_jax.generate.generate import Piece
    from baichuan_jax.model.decoder import Params
    from baichuan_jax.recipe.trained import Trained
    from baichuan_jax.tokenizer.interface import AnyTokenizer


S = TypeVar("S")


class Run:
    """A run of the recipe: a config, and the directory `config.workdir` with what its stages have left there.

    The stages are data, tokenizer, tokens, train, tune (where there are instructions), evaluate, generate and report. A
    stage is built once; one that was interrupted goes on where it was. The same config in the same workdir is the same
    run, whether it is built from here or by the command line. Finished stages of another run serve this one where they
    agree (RunConfig.base).

    Example:
        import baichuan_jax as bj

        cfg = bj.load_config("quickstart", {"TrainConfig.steps": 100})
        run = bj.Run(cfg, progress=bj.PrintProgress())
        trained = run.build("train")                # and first what it needs: data, tokenizer, tokens
        print(trained.loss, trained.parameters)
        run.metrics()                               # a dict for each logged step and each validation
        run.tokenizer.encode("今天天气很好")
        run.generate(["中国", "The people"], temperature=0.0)
        run.evaluate().domains                      # held-out bits per byte of every domain
        run.params["blocks"]                        # nested dicts of jax arrays

        same = bj.Run.open("runs/quickstart")       # a run that is there, from its config.gin

    Mistakes of the user raise `UserError`, whose message says what to do. Nothing is printed, and no signal is handled:
    a KeyboardInterrupt comes at once, and the next `build` goes on from the last checkpoint. Several runs can live in
    one process.
    """

    def __init__(self, config: RunConfig, progress: Progress | None = None):
        """config: of `load_config`. progress: is told how work goes on; by default nobody is."""
        self.config = config
        self.workdir = Path(config.workdir)
        self.progress = progress or Progress()
        self.pipeline = Pipeline(config)
        self.seconds_spent = 0.0  # on stages that were built here
        self._tokenizer: AnyTokenizer | None = None
        self._trained: Trained | None = None
        self._engine: Engine | None = None
        self._chat: ChatTemplate | None = None

    @classmethod
    def open(cls, workdir: Path | str, overrides: Overrides = (), progress: Progress | None = None) -> Run:
        """Return the run whose stages are in a directory, wherever that has been moved to, or that an import has made.

        overrides: as `load_config` has them. Raise UserError if there is no run.
        """
        file = Path(workdir) / CONFIG
        if not file.is_file():
            raise UserError(f"there is no run in {str(workdir)!r}: {CONFIG} is missing")
        return cls(load_config(file, overrides), progress)

    def branch(self, workdir: Path | str, step: int) -> Run:
        """Return a new run in `workdir`, with this one as its base, whose training goes on from a checkpoint of this.

        It has the parameters, the optimizer's state and the place in the data of that step, and its config; so it may
        go on with another schedule of the rate, another mixture or other `TrainConfig.steps`. Raise UserError if there
        is no such checkpoint, or the directory is not empty.
        """
        new, train = Path(workdir), self.pipeline.place("train")
        steps = checkpoint_steps(train / CHECKPOINTS)
        if step not in steps:
            kept = ", ".join(map(str, steps)) or "none"
            raise UserError(f"{train / CHECKPOINTS} has no checkpoint of step {step}; it has: {kept}")
        if new.exists() and any(new.iterdir()):
            raise UserError(f"{new} is not empty; choose another directory for the branch")
        run = Run(replace(self.config, workdir=str(new), base=str(self.workdir)), self.progress)
        partial = new / "partial"
        try:
            with run.pipeline.open(()):
                copytree(train / CHECKPOINTS / str(step), partial / CHECKPOINTS / str(step))
                for name in ("started.json", METRICS, BATCH_HASHES, REJECTED):
                    if (train / name).exists():
                        copy(train / name, partial)
                partial.rename(new / "train")
        except BaseException:
            rmtree(new, ignore_errors=True)
            raise
        return run

    def __repr__(self) -> str:
        """Return the run with its finished stages."""
        finished = [name for name in STAGES if (self.workdir / name / "manifest.json").exists()]
        return f"<Run {self.config.workdir!r}: {', '.join(finished) or 'nothing'} finished>"

    def build(self, name: str, redo: bool = False) -> Any:
        """Build a stage, after those it needs that are not finished; return its result, such as a `TrainResult`.

        What is finished is not built again. Raise UserError if the workdir holds something made from another config,
        or from other files; with `redo` that is thrown away and made again.
        """
        self.pipeline.refresh()
        if redo:
            self.pipeline.redo_changed(
                {_known(name), *(each for each in STAGES if name in made_from(each, self.config))}
            )
        names = self.pipeline.due(_known(name))
        self.pipeline.check(names)
        with self.pipeline.open(names):
            return [self.build_stage(each)[0] for each in names][-1]

    def build_stage(self, name: str, processes: ProcessGroup = SINGLE_PROCESS) -> tuple[StageResult, bool]:
        """Build a stage alone unless it is complete; return its result, and whether it was complete.

        For callers that have checked `pipeline` and opened it, as `build` does.
        """
        spec, stage = STAGES[name], self.pipeline.stage(name)
        if processes.is_primary:
            for each, why in self.pipeline.passed_over.items():
                self.progress.note(f"{each} is not that of RunConfig.base: {why}")
        self.pipeline.passed_over.clear()
        if self.pipeline.taken(name):
            return spec.result.read(stage.result()), True

        def build(directory: Path) -> dict[str, Any]:
            self._tokenizer = self._trained = self._engine = self._chat = None  # they may be of what is built anew
            again, here = self.pipeline.redo.pop(name, ""), self.pipeline.made_here.get(name, "")
            if processes.is_primary and (again or here):
                why = f"again: {again}" if again else f"in this run: {here}"
                self.progress.note(f"building {name} {why}")
            result = spec.build(self, directory)
            return result.as_record() if result is not None else {}

        record, skipped = stage.run(build, processes)
        self.seconds_spent += 0 if skipped else record["seconds"]
        if not skipped and (spec.checkpointed or stage.anew):
            self.pipeline.refresh()  # what was made from it before it went on is to be made again
        result = spec.result.read(record) if processes.is_primary else StageResult.read(record)
        return result, skipped

    def result(self, name: str) -> Any:
        """Return the result of a finished stage, typed as `build` returns it. Raise UserError if it is not finished."""
        return STAGES[_known(name)].result.read(self.pipeline.alone(name).result())

    def section(self, cls: type[S]) -> S:
        """Return a section of the config by its class: that of a stage which has one of its own."""
        return next(part for part in parts(self.config) if isinstance(part, cls))

    def metrics(self) -> list[dict[str, Any]]:
        """Return the records of training so far.

        A step that was logged has step, loss, grad_norm, learning_rate and speeds; an evaluation has step, validation
        ({domain: bits per byte}) and validation_mean.
        """
        return read_metrics(self.place("train"))

    def place(self, name: str) -> Path:
        """Return the directory of a stage: in the workdir, or in that of the base where it is taken from."""
        return self.pipeline.place(_known(name))

    @property
    def tokenizer(self) -> AnyTokenizer:
        """The run's tokenizer: `encode(text)` returns ids, `decode(ids)` the text."""
        if self._tokenizer is None:
            self._tokenizer = load_run_tokenizer(self.config)
        return self._tokenizer

    @property
    def params(self) -> Params:
        """The newest parameters, as nested dicts of arrays that are sharded over the devices at hand."""
        if self._trained is None:
            self._trained = self._load()
        return self._trained.params

    def generate(self, prompts: Sequence[str], *, symbols: bool = False, **sample: Any) -> list[str]:
        """Return the continuation of each prompt by the newest parameters, without the prompt.

        symbols: read special symbols in the prompts, such as "</s>", as their ids. sample: fields of `SampleConfig`
        in place of the config's: temperature, top_p, max_tokens, seed, stop, ...
        """
        texts = [""] * len(prompts)
        for piece in self.stream(prompts, symbols=symbols, **sample):
            texts[piece.number] += piece.text
        return texts

    def stream(self, prompts: Sequence[str], *, symbols: bool = False, **sample: Any) -> Iterator[Piece]:
        """Yield the continuations as they are made: pieces with the number of their prompt, and text.

        symbols, sample: as `generate` has them.
        """
        from baichuan_jax.generate.generate import stream

        return stream(self.load_engine(), self.tokenizer, prompts, replace(self.config.sample, **sample), symbols)

    @property
    def chat_template(self) -> ChatTemplate:
        """What turns conversations into ids. Raise UserError if the run has no chat template (ChatConfig.template)."""
        from baichuan_jax.chat.load import load_chat_template
        from baichuan_jax.tokenizer.tokenizer_files import tokenizer_file

        if self._chat is None:
            file = tokenizer_file(tokenizer_place(self.config))
            self._chat = load_chat_template(self.config.chat, self.tokenizer, file)
        return self._chat

    def chat(self, messages: Sequence[Mapping[str, str]], **sample: Any) -> str:
        """Return the answer to the last message of a conversation.

        messages: {"role": "system" | "user" | "assistant", "content": text} each. sample: as `generate` has it.

            run.chat([{"role": "user", "content": "你好"}])
        """
        return "".join(piece.text for piece in self.stream_chat(messages, **sample))

    def stream_chat(self, messages: Sequence[Mapping[str, str]], **sample: Any) -> Iterator[Piece]:
        """Yield the answer to the last message as it is made; it ends at the end of the model's context too."""
        from baichuan_jax.generate.generate import stream_ids

        template, engine, settings = self.chat_template, self.load_engine(), replace(self.config.sample, **sample)
        prompt = template.prompt(messages)
        room = max(1, min(settings.max_tokens, engine.context - len(prompt)))
        return stream_ids(engine, self.tokenizer, [prompt], replace(settings, max_tokens=room), template.end_ids)

    def load_engine(self) -> Engine:
        """Return the engine that continues texts, with the newest parameters; it is loaded once."""
        from baichuan_jax.recipe.trained import make_engine

        if self._engine is None:
            self._engine = make_engine(self.config, self._trained or self._load())
        return self._engine

    def _load(self) -> Trained:
        from baichuan_jax.recipe.trained import load_trained

        self.pipeline.check_model()
        return load_trained(self.config, self.progress)

    def evaluate(self) -> EvaluateResult:
        """Build the stage evaluate: held-out bits per byte of every domain, beside baselines."""
        return self.build("evaluate")

    def report(self) -> ReportResult:
        """Write the page about what there is by now, also while another process trains; return where it is."""
        self.pipeline.refresh()
        if not ((self.workdir / CONFIG).is_file() and any(finished_in(self.place(name)) for name in STAGES)):
            raise UserError(f"nothing to report in {str(self.workdir)!r} yet: no stage of this run has finished")
        if self.pipeline.due("report") != ("report",):
            return build_report(self, self.pipeline.stage("report").draft())
        result, directory = self.build("report"), self.place("report")  # which may have been moved since it was built
        plots = [str(directory / "plots" / Path(plot).name) for plot in result.plots]
        return replace(result, page=str(directory / Path(result.page).name), plots=plots)

    def run_tasks(
        self,
        names: Sequence[str],
        data_dir: Path | str | None = None,
        limit: int | None = None,
        fewshot: int | None = None,
        beside: Sequence[Path | str] = (),
        chat: bool = False,
    ) -> list[dict[str, Any]]:
        """Ask the tasks of lm-eval, such as "mmlu", or the recipe's own; return the results (needs the extra [eval]).

        data_dir: where the data sets are; None: the hub. limit: only so many questions of each subject. fewshot: solved
        examples before a question; None: as the task has it. beside: workdirs of other runs, for the leaderboard. chat:
        ask by the chat template.
        """
        if self.config.train.steps:
            self.pipeline.alone("train").result()
        from baichuan_jax.recipe.tasks import run_tasks

        with self.pipeline.open(()):
            place = Path(data_dir) if data_dir else None
            return run_tasks(self, names, place, limit, fewshot, [Path(path) for path in beside], chat)


def _known(name: str) -> str:
    if name not in STAGES:
        raise UserError(f"there is no stage {name!r}; the stages are {', '.join(STAGES)}")
    return name
