"""Masks of our templates against spans marked by hand; the same ids in training and generation."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.chat.config import ChatConfig
from baichuan_jax.chat.encode import ChatTemplate
from baichuan_jax.chat.foreign import ForeignTemplate
from baichuan_jax.chat.load import load_chat_template
from baichuan_jax.chat.rendered import MOST_ANSWERS, Rendered
from baichuan_jax.chat.templates import TEMPLATES
from baichuan_jax.core.errors import UserError
from tests.chat.spelling import Bytes, marked, talk

FORMS = [form for each in TEMPLATES.values() for form in each.marks]
TOKENIZER = Bytes(*dict.fromkeys(FORMS))
ONE = talk("2+2?", "4")
TWO = talk("你好", "你好！", "再见", "再见。", system="简短地回答。")
DATE = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"
BELOW = "Below is an instruction that describes a task. Write a response that appropriately completes the request."


def template(name: str, tokenizer=TOKENIZER, **settings):
    return load_chat_template(ChatConfig(template=name, **settings), tokenizer, None)


# Template -> (the samples of ONE, the samples of TWO).
MARKED = {
    "baichuan2": (
        ["<reserved_106>2+2?<reserved_107>«4</s>»"],
        [
            "简短地回答。<reserved_106>你好<reserved_107>«你好！</s>»",
            "简短地回答。<reserved_106>你好<reserved_107>你好！<reserved_106>再见<reserved_107>«再见。</s>»",
        ],
    ),
    "chatml": (
        ["<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n«4<|im_end|>»\n"],
        [
            "<|im_start|>system\n简短地回答。<|im_end|>\n"
            "<|im_start|>user\n你好<|im_end|>\n<|im_start|>assistant\n«你好！<|im_end|>»\n"
            "<|im_start|>user\n再见<|im_end|>\n<|im_start|>assistant\n«再见。<|im_end|>»\n"
        ],
    ),
    "llama3.1": (
        [
            f"<|start_header_id|>system<|end_header_id|>\n\n{DATE}<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\n2+2?<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n«4<|eot_id|>»"
        ],
        [
            f"<|start_header_id|>system<|end_header_id|>\n\n{DATE}简短地回答。<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\n你好<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n«你好！<|eot_id|>»"
            "<|start_header_id|>user<|end_header_id|>\n\n再见<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n«再见。<|eot_id|>»"
        ],
    ),
    "qwen3": (
        ["<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n«<think>\n\n</think>\n\n4<|im_end|>»\n"],
        [
            "<|im_start|>system\n简短地回答。<|im_end|>\n"
            "<|im_start|>user\n你好<|im_end|>\n<|im_start|>assistant\n«<think>\n\n</think>\n\n你好！<|im_end|>»\n",
            "<|im_start|>system\n简短地回答。<|im_end|>\n"
            "<|im_start|>user\n你好<|im_end|>\n<|im_start|>assistant\n你好！<|im_end|>\n"
            "<|im_start|>user\n再见<|im_end|>\n<|im_start|>assistant\n«<think>\n\n</think>\n\n再见。<|im_end|>»\n",
        ],
    ),
    "gemma": (
        ["<start_of_turn>user\n2+2?<end_of_turn>\n<start_of_turn>model\n«4<end_of_turn>»\n"],
        [
            "<start_of_turn>user\n简短地回答。\n\n你好<end_of_turn>\n<start_of_turn>model\n«你好！<end_of_turn>»\n"
            "<start_of_turn>user\n再见<end_of_turn>\n<start_of_turn>model\n«再见。<end_of_turn>»\n"
        ],
    ),
    "alpaca": (
        [f"{BELOW}\n\n### Instruction:\n2+2?\n\n### Response:«4</s>»"],
        [
            "简短地回答。\n\n### Instruction:\n你好\n\n### Response:«你好！</s>»"
            "\n\n### Instruction:\n再见\n\n### Response:«再见。</s>»"
        ],
    ),
}


def test_every_template_is_marked_by_hand():
    assert MARKED.keys() == TEMPLATES.keys()


@pytest.mark.parametrize("name", MARKED)
def test_masks_equal_spans_marked_by_hand(name):
    for messages, expected in zip((ONE, TWO), MARKED[name]):
        assert [marked(TOKENIZER, sample) for sample in template(name).encode(messages)] == expected


def assert_prompts_begin_samples(chat, messages) -> None:
    """Assert that up to each answer in the loss, a sample has the ids of the prompt for it."""
    samples = chat.encode(messages)
    turns = [number for number, message in enumerate(messages) if message["role"] == "assistant"]
    of_turns = samples if len(samples) == len(turns) else samples * len(turns)
    for turn, (ids, mask) in zip(turns, of_turns):
        prompt = chat.prompt(messages[:turn])
        assert ids[: len(prompt)].tolist() == prompt
        assert mask[len(prompt)]
        assert not mask[len(prompt) - 1]
    assert sum(int(mask.sum()) for _, mask in samples) > len(turns)


@pytest.mark.parametrize("begins", [False, True])
@pytest.mark.parametrize("name", MARKED)
def test_a_prompt_is_the_prefix_of_the_training_sample(name, begins):
    tokenizer = Bytes(*dict.fromkeys(FORMS), begins=begins)
    chat = template(name, tokenizer)
    spaced = talk(" a ", "\n b \n", "c", " d", system=" s\n")
    for messages in (ONE, TWO, spaced):
        assert_prompts_begin_samples(chat, messages)
        assert chat.prompt(messages[:-1])[:1] == ([257] if begins else chat.prompt(messages[:-1])[:1])
    assert (chat.prompt(ONE[:1])[0] == 257) is begins


@pytest.mark.parametrize("name", MARKED)
def test_the_end_of_an_answer_stops_generation(name):
    chat = template(name)
    (sample,) = chat.encode(ONE)
    assert chat.end_ids == (int(sample.ids_T[sample.mask_T][-1]),)
    assert TOKENIZER.spell(chat.end_ids) in ("</s>", "<|im_end|>", "<|eot_id|>", "<end_of_turn>")


def test_thoughts():
    """The last answer keeps its own; earlier ones are asked for with theirs and remembered without."""
    messages = talk("a", "<think>\nhm\n</think>\n\nb", "c", "<think>\nso\n</think>\n\nd")
    first, second = (marked(TOKENIZER, sample) for sample in template("qwen3").encode(messages))
    assert first.endswith("assistant\n«<think>\nhm\n</think>\n\nb<|im_end|>»\n")
    assert "hm" not in second
    assert "assistant\nb<|im_end|>\n" in second
    assert second.endswith("assistant\n«<think>\nso\n</think>\n\nd<|im_end|>»\n")


def test_without_thinking_the_empty_thought_is_part_of_the_prompt():
    chat = template("qwen3", thinking=False)
    (sample,) = chat.encode(ONE)
    assert marked(TOKENIZER, sample).endswith("assistant\n<think>\n\n</think>\n\n«4<|im_end|>»\n")
    assert TOKENIZER.spell(chat.prompt(ONE[:1])).endswith("</think>\n\n")
    with pytest.raises(UserError, match="message 2 the text no longer begins with the prompt"):
        chat.encode(talk("a", "<think>\nhm\n</think>\n\nb"))


FORM = st.sampled_from(list(TOKENIZER.specials))
BITS = st.one_of(
    FORM, FORM.flatmap(lambda form: st.integers(1, len(form)).map(lambda n: form[:n])), FORM.map(lambda f: f[1:])
)
CONTENT = st.lists(
    st.one_of(BITS, st.text(st.characters(codec="utf-8"), max_size=3), st.sampled_from(["\ufdd0", "\ufdd1"]))
)


@settings(max_examples=15)
@given(
    st.lists(CONTENT.map("".join), min_size=2, max_size=4).filter(lambda texts: len(texts) % 2 == 0),
    CONTENT.map("".join),
)
def test_control_marks_in_messages_stay_text(contents, system):
    """As many special ids as without contents, and every content comes back as it was."""
    messages = talk(*(f"{text}." for text in contents), system=system)
    plain = talk(*("." for _ in contents), system="")
    for name in MARKED:
        chat = template(name)
        for sample, empty in zip(chat.encode(messages), chat.encode(plain)):
            specials = lambda sample: [id for id in sample.ids_T.tolist() if id >= 256]
            assert specials(sample) == specials(empty)
        if name in ("chatml", "baichuan2", "alpaca"):
            text = TOKENIZER.decode(chat.encode(messages)[-1].ids_T.tolist())
            assert all(message["content"] in text for message in messages)


# Templates that write turns in another way as a conversation goes on, or not as they write them alone.
UNEVEN = {
    "counts": "{% for m in messages %}{{ m.content }}</s>{{ '!' if messages | length > 4 }}{% endfor %}",
    "reminds": "{% for m in messages %}{{ m.content }}{{ '!' if loop.index % 5 == 0 }}</s>{% endfor %}",
    "forgets": "{% for m in messages[-4:] %}{{ m.content }}</s>{% endfor %}",
    "shouts": "{% for m in messages %}{{ m.content }}{{ '!' if loop.last and m.role == 'assistant' }}</s>{% endfor %}",
    "begs": "{% for m in messages %}{{ m.content }}</s>{% endfor %}{{ '<s>please<s>' if add_generation_prompt }}",
    "needs": "{{ raise_exception('no') if messages[0].role != 'system' }}{{ messages | join('', 'content') }}</s>",
}


def uneven(name: str) -> ChatTemplate:
    text = UNEVEN[name]
    render = ForeignTemplate(name, text, {})
    return ChatTemplate(name, text, render, TOKENIZER)


def encoded(chat, messages) -> list:
    """Return the ids of the prompt, and those and the mask of each sample; for each an error's text in its place."""
    found = []
    for make in (
        lambda: [chat.prompt(messages[:-1])],
        lambda: [part.tolist() for s in chat.encode(messages) for part in s],
    ):
        try:
            found.append(make())
        except UserError as error:
            found.append(str(error))
    return found


def assert_as_from_every_beginning(chat, messages) -> None:
    found = encoded(chat, messages)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rendered, "_starts_by_turns", lambda *_: None)
        patch.setattr(Rendered, "_spans_by_turns", lambda *_: None)
        assert encoded(chat, messages) == found


THOUGHTS = st.sampled_from(["", "<think>\nhm\n</think>\n\n", "<think>\n\n</think>\n\n", "<", " "])


@settings(max_examples=15)
@given(
    st.lists(st.tuples(CONTENT.map("".join), THOUGHTS, CONTENT.map("".join)), min_size=1, max_size=5),
    st.none() | CONTENT.map("".join),
)
def test_turns_by_themselves_say_what_every_beginning_does(turns, system):
    messages = talk(
        *(text for asked, thought, answer in turns for text in (asked, f"{thought}{answer}.")), system=system
    )
    for name in MARKED:
        for thinking in (None, False) if name == "qwen3" else (None,):
            assert_as_from_every_beginning(template(name, thinking=thinking), messages)


@pytest.mark.parametrize("name", UNEVEN)
def test_uneven_templates_are_rendered_from_every_beginning(name):
    chat = uneven(name)
    for count in (2, 4, 6, 8):
        for system in (None, "s"):
            assert_as_from_every_beginning(chat, talk(*"abcdefgh"[:count], system=system))


@pytest.mark.parametrize("name", MARKED)
def test_a_long_conversation_takes_linear_time(name):
    chat, sizes, last = template(name), [], {"role": "user", "content": "a"}
    render = chat._render
    chat._render = lambda messages, generate: (sizes.append(len(messages)), render(messages, generate))[1]
    messages = talk(*["a", "b"] * (MOST_ANSWERS + 1), system="s")
    chat.prompt([*messages, last])
    assert sum(sizes) < 5 * len(messages)
    if name in ("baichuan2", "qwen3"):
        with pytest.raises(UserError, match=f"{MOST_ANSWERS} answers of one, not {MOST_ANSWERS + 1}; split"):
            chat.encode(messages)
    else:
        assert len(chat.encode(messages)) == 1
    assert sum(sizes) < 12 * len(messages)


def test_a_long_conversation_of_an_uneven_template_is_refused():
    with pytest.raises(UserError, match=f"{MOST_ANSWERS} answers, not {MOST_ANSWERS + 1}; leave out the oldest"):
        uneven("reminds").prompt([*talk(*["a", "b"] * (MOST_ANSWERS + 1)), {"role": "user", "content": "a"}])


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([], r"messages = \[\]: expected a list of one message or more"),
        (talk("a"), "message 1, the last, has role 'user': expected 'assistant'"),
        (talk("a", " \n"), "message 2 of 2: the response is empty"),
        (talk("a", "b") + talk(system="s"), "message 3 of 3: role 'system': expected 'user' here"),
        (talk("a") + talk("b"), "message 2 of 2: role 'user': expected 'assistant' here"),
        (
            [{"role": "tool", "content": "a"}],
            "message 1 of 1: unknown role 'tool'; the roles are system, user, assistant",
        ),
        ([{"role": "user", "content": ["a"]}], r"message 1 of 1: content = \['a'\]: expected a text"),
        ([{"role": "user"}], "message 1 of 1: expected an object with role and content alone"),
        ([{"role": "user", "content": "a", "name": "b"}], "message 1 of 1: expected an object with role and content"),
        (talk("\ud800", "b"), "message 1 of 2: content has an unpaired surrogate at character 0"),
        (talk("".join(map(chr, range(0xFDD0, 0xFDF0))), "b"), "each of the noncharacters"),
    ],
)
def test_bad_conversations_are_refused_by_message(messages, said):
    with pytest.raises(UserError, match=said):
        template("chatml").encode(messages)


def test_a_prompt_ends_with_a_question():
    with pytest.raises(UserError, match="message 2, the last, has role 'assistant': expected 'user'"):
        template("chatml").prompt(ONE)


def test_a_tokenizer_without_the_marks_is_told_which_templates_it_can_serve():
    with pytest.raises(UserError, match=r"no special token <\|im_start\|>, <\|im_end\|>; .* can serve: alpaca$"):
        template("chatml", Bytes())
    with pytest.raises(UserError, match=r"can serve: baichuan2, alpaca$"):
        template("gemma", Bytes("<reserved_106>", "<reserved_107>"))
    with pytest.raises(UserError, match=r"ChatConfig\.template = 'chatlm': expected one of auto, baichuan2"):
        ChatConfig(template="chatlm")
