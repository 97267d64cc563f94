"""Settings of chat."""

from __future__ import annotations

from dataclasses import dataclass

from baichuan_jax.chat.templates import TEMPLATES
from baichuan_jax.core.errors import require
from baichuan_jax.core.settings import setting

AUTO = "auto"


@dataclass(frozen=True)
class ChatConfig:
    """How a conversation is written as text."""

    template: str = setting(
        AUTO,
        f"chat template: {', '.join(TEMPLATES)}; 'auto' is the one beside the tokenizer, in chat_template.jinja or "
        "tokenizer_config.json",
    )
    thinking: bool | None = setting(
        None,
        "`enable_thinking` of templates that read it, such as qwen3: False begins the answer after an empty thought; "
        "None leaves it to the template",
    )

    def __post_init__(self) -> None:
        names = (AUTO, *TEMPLATES)
        require(self.template in names, "ChatConfig.template", self.template, f"one of {', '.join(names)}")
