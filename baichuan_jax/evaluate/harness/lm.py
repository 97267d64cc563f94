"""Adapter: our decoder as a language model of lm-eval."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.models.utils import normalize_gen_kwargs

from baichuan_jax.chat.encode import ChatTemplate
from baichuan_jax.core.errors import UserError
from baichuan_jax.evaluate.harness.answers import Answers, request_key
from baichuan_jax.evaluate.harness.encode import Encoder, Ids, spelled
from baichuan_jax.evaluate.score.scorer import Scorer
from baichuan_jax.generate.config import SampleConfig
from baichuan_jax.generate.engine import Engine
from baichuan_jax.generate.generate import pieces
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.tokenizer.interface import AnyTokenizer

Progress = Callable[[str, int, int], None]


class BaichuanLM(LM):
    """Answer lm-eval's requests as its Hugging Face backend does; requests that `answers` holds are not run again.

    One difference: if a task asks for more new tokens than fit the context, that backend raises an error; here the
    continuation gets half of the context. engine: called when the first text has to be generated. progress: called as
    progress(what is being done, requests done, requests). chat: the template of `apply_chat_template`, without which
    that cannot be called.
    """

    def __init__(
        self,
        scorer: Scorer,
        engine: Callable[[], Engine],
        tokenizer: AnyTokenizer,
        model_cfg: DecoderConfig,
        answers: Answers,
        progress: Progress,
        chat: ChatTemplate | None = None,
    ):
        super().__init__()
        self._scorer, self._engine, self._tokenizer, self._context = scorer, engine, tokenizer, model_cfg.context
        self._encoder, self._answers, self._progress = Encoder(tokenizer, model_cfg.vocab), answers, progress
        self._chat, self._prompts = chat, dict[str, Ids]()

    @property
    def tokenizer_name(self) -> str:
        """The name of the chat template, which lm-eval tells prompts apart by."""
        return self._chat.name

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """Return a text that stands for the prompt of a conversation in later requests."""
        if not add_generation_prompt:
            raise UserError("a task that begins the answer itself (gen_prefix) cannot be asked with --chat")
        text = json.dumps(chat_history, ensure_ascii=False)
        self._prompts[text] = self._chat.prompt(chat_history)
        return text

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """Return (log p(continuation | context) in nats, whether it is greedy) of each request."""
        pairs = [request.args for request in requests]
        if not self._prompts:
            return self._scores(self._encoder.pairs(pairs))
        answers = self._encoder.continuations([answer for _, answer in pairs])
        return self._scores([(self._prompts[asked], ids) for (asked, _), ids in zip(pairs, answers)])

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        """Return log p(text) in nats of each request, in windows of the whole context."""
        windows = [self._encoder.windows(request.args[0], self._context) for request in requests]
        scores = iter(self._scores([pair for pairs in windows for pair in pairs]))
        return [sum(next(scores)[0] for _ in pairs) for pairs in windows]

    def _scores(self, pairs: list[tuple[Ids, Ids]]) -> list[tuple[float, bool]]:
        if empty := sum(not continuation for _, continuation in pairs):
            raise UserError(f"{empty} continuations add no token to their contexts; fix the task")
        if (longest := max((len(after) for _, after in pairs), default=0)) > self._context:
            raise UserError(f"a continuation of {longest} tokens exceeds the model's context of {self._context}")
        keys = [request_key("score", [*before, *after][-(self._context + 1) :], len(after)) for before, after in pairs]
        different = dict(zip(keys, pairs))
        names = list(different)
        known = {number for number, key in enumerate(names) if key in self._answers}
        done = len(keys) - len(names) + len(known)
        for part in self._scorer(list(different.values()), known):
            new = {names[number]: list(score) for number, score in part if number not in known}
            self._answers.add(new)
            done += len(new)
            self._progress("continuations", done, len(keys))
        return [tuple(self._answers[key]) for key in keys]

    def generate_until(self, requests: list[Instance]) -> list[str]:
        """Return a continuation of each request, up to the first of its stop strings.

        Repeated requests draw several samples: each gets its own seed.
        """
        texts = [request.args[0] for request in requests]
        contexts = [self._prompts[text] for text in texts] if self._prompts else self._encoder.prompts(texts)
        times, asked = Counter(), []
        for request, ids in zip(requests, contexts):
            sample = self._sample(request.args[1])
            prompt = tuple(ids[-(self._context - sample.max_tokens) :])
            seed = times[prompt, sample] if sample.temperature else 0
            times[prompt, sample] += 1
            settings = (sample.max_tokens, sample.temperature, sample.top_k, sample.top_p, sample.repetition_penalty)
            asked.append((request_key("text", prompt, *settings, sample.stop, seed), prompt, sample, seed))
        self._write({key: rest for key, *rest in asked if key not in self._answers}, len(asked))
        return [self._answers[key] for key, *_ in asked]

    def _sample(self, arguments: dict[str, Any]) -> SampleConfig:
        known = normalize_gen_kwargs(arguments, default_max_gen_toks=256)
        most = known["max_gen_toks"]
        end = next((form for form, id in self._tokenizer.specials.items() if id == self._tokenizer.eos), None)
        stop = [text for text in known["until"] if text]
        return SampleConfig(
            max_tokens=most if most < self._context else self._context // 2,
            temperature=known["temperature"] if known["do_sample"] else 0.0,
            top_k=known.get("top_k", 0),
            top_p=known.get("top_p", 1.0),
            repetition_penalty=known.get("repetition_penalty", 1.0),
            stop=tuple(dict.fromkeys(stop + ([end] if end else []))),
        )

    def _write(self, missing: dict[str, list], count: int) -> None:
        """Continue prompts {key: (ids, settings, seed)}, and save each text when it is finished."""
        if not missing:
            return
        engine, keys = self._engine(), list(missing)
        requests = [engine.submit(prompt, replace(sample, seed=seed)) for prompt, sample, seed in missing.values()]
        done = count - len(missing)
        for piece in pieces(engine, self._tokenizer, requests):
            if piece.done:
                request = requests[piece.number]
                self._answers.add({keys[piece.number]: self._cut(request.ids, request.sample.stop)})
                done += 1
                self._progress("texts", done, count)

    def _cut(self, ids: Ids, stops: tuple[str, ...]) -> str:
        known = [id for id in ids if id < self._tokenizer.vocab]  # a model may have more rows than that
        text = self._tokenizer.decode(spelled(known, self._tokenizer.byte_ids))
        for stop in stops:
            text = text.split(stop)[0]
        return text
