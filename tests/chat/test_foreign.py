"""Templates of checkpoints: found beside the tokenizer, rendered in a process with limits, or refused with a reason."""

import json
from pathlib import Path

import pytest

from baichuan_jax.chat.config import ChatConfig
from baichuan_jax.chat.encode import ChatTemplate
from baichuan_jax.chat.foreign import ForeignTemplate, Limits
from baichuan_jax.chat.load import load_chat_template
from baichuan_jax.chat.templates import TEMPLATES
from baichuan_jax.core.errors import UserError
from tests.chat.spelling import Bytes, marked, talk
from tests.chat.test_templates import MARKED, TWO, assert_prompts_begin_samples

TOKENIZER = Bytes("<|im_start|>", "<|im_end|>")


def foreign(text: str, tokenizer=TOKENIZER, **limits) -> ChatTemplate:
    render = ForeignTemplate("here", text, {"eos_token": "</s>", "bos_token": "<s>"}, Limits(**limits))
    return ChatTemplate("here", text, render, tokenizer)


@pytest.mark.parametrize("several", [False, True])
def test_a_checkpoint_brings_its_template(tmp_path, several):
    text = TEMPLATES["chatml"].text
    content = [{"name": "tools", "template": "no"}, {"name": "default", "template": text}] if several else text
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": content}))
    chat = load_chat_template(ChatConfig(), TOKENIZER, tmp_path / "tokenizer.model")
    assert [marked(TOKENIZER, sample) for sample in chat.encode(TWO)] == MARKED["chatml"][1]
    assert_prompts_begin_samples(chat, TWO)
    (tmp_path / "chat_template.jinja").write_text("{{ bos_token }}" + text)
    chat = load_chat_template(ChatConfig(thinking=True), TOKENIZER, tmp_path / "tokenizer.model")
    assert [marked(TOKENIZER, sample) for sample in chat.encode(TWO)] == [f"<s>{MARKED['chatml'][1][0]}"]


def test_no_template_and_no_name(tmp_path):
    with pytest.raises(UserError, match=r"'auto': there is no chat template beside .*can serve: chatml, qwen3, alpaca"):
        load_chat_template(ChatConfig(), TOKENIZER, tmp_path / "tokenizer.model")


@pytest.mark.parametrize(
    "content", [5, {"a": 1}, "\ud800", ["text"], [{"template": "a"}], [{"name": ["default"], "template": "a"}]]
)
def test_what_is_no_template_is_refused_by_name(tmp_path, content):
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": content}))
    with pytest.raises(UserError, match=r"tokenizer_config\.json.*chat_template.*expected .*(text|template)"):
        load_chat_template(ChatConfig(), TOKENIZER, tmp_path / "tokenizer.model")


ENDLESS = (
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{{ (messages | length * 9) ** (9 ** 9) }}",  # inside of one operation of Python's
)
HOSTILE = {
    "{{ 'a' * 10 ** 10 }}": "too much memory",
    "{{ 'a' * 10 ** 7 }}": "writes more than 8388608 characters",
    "{{ range(10 ** 9) | list }}": "OverflowError: Range too big",
    "{{ ''.__class__.__mro__ }}": "SecurityError: access to attribute '__class__' of 'str' object is unsafe",
    "{{ messages.append(1) }}": "SecurityError",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}": "RecursionError",
    r"{{ '\ud83d' }}": "it writes an unpaired surrogate at character 0",
    "{% if %}": "TemplateSyntaxError: Expected an expression",
    "{{ strftime_now('%Y') }}": "today's date",
    "{{ raise_exception('no\nsystem') }}": r"refuses the conversation \(no system\)",
    "{% include 'child.py' %}": "TypeError: no loader for this environment",
}


def assert_refused(text: str, said: str) -> None:
    """Assert that there is one message, and that it is there again after that."""
    chat = foreign(text, seconds=1, wall=300)
    for _ in range(2):
        with pytest.raises(UserError, match=rf"^the chat template of here fails: [^\n]*{said}[^\n]*; ChatConfig"):
            chat.prompt(talk("a"))


def test_hostile_templates_are_refused_with_one_message():
    for text, said in HOSTILE.items():
        assert_refused(text, said)


@pytest.mark.slow
@pytest.mark.parametrize("text", ENDLESS)
def test_endless_templates_are_ended_by_processor_time(text):
    assert_refused(text, "takes more than 1 seconds of processor time")


def test_wall_time_is_limited_and_the_process_ended():
    render = ForeignTemplate("here", ENDLESS[1], {}, Limits(seconds=50, wall=0.3))
    with pytest.raises(UserError, match=r"takes more than 0\.3 seconds"):
        render(talk("a"), True)
    assert render._process is None


def test_the_process_sees_nothing_of_ours_and_ends_with_its_owner():
    render = ForeignTemplate("here", "{{ messages[0].content }}", {})
    assert render(talk("a"), True) == "a"
    process = render._process
    assert {line.split("=")[0] for line in environment(process.pid)} <= {"PYTHONPATH", "LC_CTYPE"}
    del render
    assert process.poll() is not None


def environment(process: int) -> list[str]:
    return Path(f"/proc/{process}/environ").read_text().strip("\0").split("\0")


REFUSED = {
    "{% for message in messages %}{{ message.content }}{% endfor %}": "no special token of this tokenizer ends",
    "{% for message in messages %}{{ message.content }}</s>x{% endfor %}": "ends the answer of message 2",
    "{% for message in messages if message.role == 'user' %}{{ message.content }}</s>{% endfor %}": "message 2",
    "{% for m in messages %}{{ m.content if m.role == 'user' }}</s>{% endfor %}": r"leaves out .*\(empty mask\)",
    "{{ messages | length }}{{ messages[-1].content }}</s>": "message 2 the text no longer begins with the prompt",
}


@pytest.mark.parametrize("text", REFUSED)
def test_templates_whose_answers_cannot_be_found_are_refused(text):
    with pytest.raises(UserError, match=REFUSED[text]):
        foreign(text).encode(talk("a", "b"))


def test_conventions_of_transformers():
    """Loop controls, `generation`, JSON as it is, and undefined variables that are false."""
    text = (
        "{%- for message in messages %}\n"
        "    {%- if loop.index > 2 %}{% break %}{% endif %}\n"
        "    {%- if tools %}x{% endif %}{{ nothing }}\n"
        "    {%- generation %}{{ message.content | tojson }}</s>{% endgeneration %}\n"
        "{%- endfor %}"
    )
    (sample,) = foreign(text).encode(talk("<a>'中'", "<b>"))
    assert marked(TOKENIZER, sample) == '"<a>\'中\'"</s>«"<b>"</s>»'
