"""Chat formats as Jinja, written from the public description of each.

The environment has `trim_blocks` and `lstrip_blocks`, as transformers. BOS is not part of these: the tokenizer begins a
conversation as it begins any text.
"""

from __future__ import annotations

from typing import NamedTuple


class Format(NamedTuple):
    """A template, and the special forms that a tokenizer must have for it, beside EOS where the text names it."""

    text: str
    marks: tuple[str, ...] = ()


# https://huggingface.co/baichuan-inc/Baichuan2-7B-Chat, generation_utils.py. The system text has no mark.
BAICHUAN2 = r"""
{%- for message in messages %}
    {%- if message.role == "user" %}
        {{- "<reserved_106>" }}
    {%- elif message.role == "assistant" %}
        {{- "<reserved_107>" }}
    {%- endif %}
    {{- message.content }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- "<reserved_107>" }}
{%- elif messages[-1].role == "assistant" %}
    {{- eos_token }}
{%- endif %}
"""

# https://github.com/openai/openai-python/blob/v0.28.0/chatml.md
CHATML = r"""
{%- for message in messages %}
    {{- "<|im_start|>" + message.role + "\n" + message.content + "<|im_end|>\n" }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- "<|im_start|>assistant\n" }}
{%- endif %}
"""

# https://www.llama.com/docs/model-cards-and-prompt-formats/llama3_1. The date is that of the published template.
LLAMA3 = r"""
{%- set system = messages[0].content | trim if messages[0].role == "system" else "" %}
{{- "<|start_header_id|>system<|end_header_id|>\n\n" }}
{{- "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n" + system + "<|eot_id|>" }}
{%- for message in messages if message.role != "system" %}
    {{- "<|start_header_id|>" + message.role + "<|end_header_id|>\n\n" + message.content | trim + "<|eot_id|>" }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- "<|start_header_id|>assistant<|end_header_id|>\n\n" }}
{%- endif %}
"""

# https://qwen.readthedocs.io/en/latest/getting_started/concepts.html. Only the last answer keeps its thought.
QWEN3 = r"""
{%- for message in messages %}
    {%- set content = message.content %}
    {{- "<|im_start|>" + message.role + "\n" }}
    {%- if message.role == "assistant" %}
        {%- set thought = "" %}
        {%- if "</think>" in content %}
            {%- set thought = content.split("</think>")[0].split("<think>")[-1].strip("\n") %}
            {%- set content = content.split("</think>")[-1].lstrip("\n") %}
        {%- endif %}
        {%- if loop.last %}
            {%- set content = "<think>\n" + thought + "\n</think>\n\n" + content.lstrip("\n") %}
        {%- endif %}
    {%- endif %}
    {{- content + "<|im_end|>\n" }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- "<|im_start|>assistant\n" }}
    {%- if enable_thinking is defined and not enable_thinking %}
        {{- "<think>\n\n</think>\n\n" }}
    {%- endif %}
{%- endif %}
"""

# https://ai.google.dev/gemma/docs/core/prompt-structure. The system text goes in front of the first question.
GEMMA = r"""
{%- set system = messages[0].content + "\n\n" if messages[0].role == "system" else "" %}
{%- for message in messages if message.role != "system" %}
    {{- "<start_of_turn>" + ("model" if message.role == "assistant" else "user") + "\n" }}
    {{- (system if loop.first else "") + message.content | trim + "<end_of_turn>\n" }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- "<start_of_turn>model\n" }}
{%- endif %}
"""

# https://github.com/tatsu-lab/stanford_alpaca#data-release. Later turns repeat the two headings.
ALPACA = r"""
{%- if messages[0].role == "system" %}
    {{- messages[0].content }}
{%- else %}
    {{- "Below is an instruction that describes a task. " }}
    {{- "Write a response that appropriately completes the request." }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == "user" %}
        {{- "\n\n### Instruction:\n" + message.content }}
    {%- elif message.role == "assistant" %}
        {{- "\n\n### Response:" + message.content + eos_token }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- "\n\n### Response:" }}
{%- endif %}
"""

TEMPLATES = {
    "baichuan2": Format(BAICHUAN2, ("<reserved_106>", "<reserved_107>")),
    "chatml": Format(CHATML, ("<|im_start|>", "<|im_end|>")),
    "llama3.1": Format(LLAMA3, ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")),
    "qwen3": Format(QWEN3, ("<|im_start|>", "<|im_end|>")),
    "gemma": Format(GEMMA, ("<start_of_turn>", "<end_of_turn>")),
    "alpaca": Format(ALPACA),
}
