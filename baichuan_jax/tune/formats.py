"""Records of instruction data to conversations: alpaca, ShareGPT, OpenAI's messages, plain prompts with responses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from baichuan_jax.chat.conversation import BadConversation, check_answers, check_messages
from baichuan_jax.chat.jinja import Message
from baichuan_jax.data.sources.json_files import field_of
from baichuan_jax.tune.data_config import AUTO, FORMATS, ROLES, InstructionConfig

NOT_TRAINED = ("tool_calls", "function_call")  # fields of an answer that is no text


class RecordReader:
    """How the records of a source are read. columns: the fields that they may have, without what is inside these."""

    def __init__(self, cfg: InstructionConfig, source: str):
        self._format, self._fields = cfg.format_of(source), cfg.fields_of(source)
        self._roles = ROLES | cfg.roles
        names = {*self._fields.values()}
        self.columns = sorted(names | {name.partition(".")[0] for name in names})

    def messages(self, record: Any) -> list[Message]:
        """Return the conversation of a record. Raise BadConversation if it has none to train on."""
        if not isinstance(record, dict):
            raise BadConversation(f"expected a JSON object, found {type(record).__name__}", "not_an_object")
        name = self._detected(record) if self._format == AUTO else self._format
        messages = READERS[name](self, record)
        check_messages(messages, "assistant")
        check_answers(messages)
        for number, message in enumerate(messages, 1):
            if message["role"] == "user" and not message["content"].strip():
                raise BadConversation(f"message {number} of {len(messages)}: the question is empty", "empty_question")
        return messages

    def _detected(self, record: dict[str, Any]) -> str:
        lacks = {
            name: [field for field in needs if self._get(record, field) is None]
            for name, (needs, *_) in FORMATS.items()
        }
        for name, missing in lacks.items():
            if not missing:
                return name
        nearest = [name for name, missing in lacks.items() if len(missing) < len(FORMATS[name][0])]
        if nearest:
            raise self._missing(record, lacks[nearest[0]][0], f" (format {nearest[0]})")
        needed = "; ".join(
            f"{name}: {', '.join(map(self._fields.get, needs))}" for name, (needs, *_) in FORMATS.items()
        )
        said = f"no format fits its fields, {', '.join(record):.200}; {needed}"
        raise BadConversation(f"{said}; choose with InstructionConfig.fields", "missing_field")

    def _get(self, record: dict[str, Any], field: str) -> Any:
        return field_of(record, self._fields[field])

    def _missing(self, record: dict[str, Any], field: str, beside: str = "") -> BadConversation:
        said = f"no field {self._fields[field]!r}{beside}; its fields are {', '.join(record):.200}"
        return BadConversation(f"{said}; choose with InstructionConfig.fields", "missing_field")

    def _text(self, record: dict[str, Any], field: str, needed: bool = True) -> str:
        """Return a text; one that is not needed may be absent or null."""
        value = self._get(record, field)
        if value is None and needed:
            raise self._missing(record, field)
        if value is not None and not isinstance(value, str):
            raise BadConversation(f"field {self._fields[field]!r} is not a text but {value!r:.60}", "not_text")
        return value or ""

    def _alpaca(self, record: dict[str, Any]) -> list[Message]:
        asked = [self._text(record, "instruction"), self._text(record, "input", needed=False)]
        turns = [*self._history(record), ("\n".join(filter(None, asked)), self._text(record, "output"))]
        talk = [message for turn in turns for message in map(_message, ("user", "assistant"), turn)]
        return [*self._system(record), *talk]

    def _history(self, record: dict[str, Any]) -> list[tuple[str, str]]:
        """Return the earlier turns of an alpaca record: [[question, answer], ...]."""
        history = self._get(record, "history") or []
        if not isinstance(history, list) or not all(_is_turn(turn) for turn in history):
            said = f"field {self._fields['history']!r} is not a list of [question, answer] but {history!r:.60}"
            raise BadConversation(said, "not_text")
        return history

    def _prompt(self, record: dict[str, Any]) -> list[Message]:
        asked, answer = self._text(record, "prompt"), self._text(record, "response")
        return [*self._system(record), _message("user", asked), _message("assistant", answer)]

    def _system(self, record: dict[str, Any]) -> list[Message]:
        text = self._text(record, "system", needed=False)
        return [_message("system", text)] if text else []

    def _messages(self, record: dict[str, Any]) -> list[Message]:
        return self._after_system(record, self._turns(record, "messages", ("role", "content")))

    def _sharegpt(self, record: dict[str, Any]) -> list[Message]:
        turns = self._get(record, "conversations")
        first = turns[0] if isinstance(turns, list) and turns and isinstance(turns[0], dict) else {}
        of_messages = self._format == AUTO and self._get(first, "from") is None and self._get(first, "role") is not None
        talk = self._turns(record, "conversations", ("role", "content") if of_messages else ("from", "value"))
        return self._after_system(record, talk)

    def _after_system(self, record: dict[str, Any], talk: list[Message]) -> list[Message]:
        """Return turns after the system message that a record has beside them, if it is not the first of them."""
        system = self._system(record)
        if not (system and talk and talk[0]["role"] == "system"):
            return [*system, *talk]
        if system[0] != talk[0]:
            said = f"field {self._fields['system']!r} and message 1 are two different system messages; keep one"
            raise BadConversation(said, "two_systems")
        return talk

    def _turns(self, record: dict[str, Any], field: str, names: tuple[str, str]) -> list[Message]:
        turns = self._get(record, field)
        if turns is None:
            raise self._missing(record, field)
        if not isinstance(turns, list):
            raise BadConversation(f"field {self._fields[field]!r} is not a list but {turns!r:.60}", "not_text")
        return [self._turn(turn, f"message {number}", names) for number, turn in enumerate(turns, 1)]

    def _turn(self, turn: Any, where: str, names: tuple[str, str]) -> Message:
        if not isinstance(turn, dict):
            raise BadConversation(f"{where} is not an object but {turn!r:.60}", "not_text")
        if unfit := [name for name in NOT_TRAINED if turn.get(name)]:
            said = f"{where} has {unfit[0]}, which is not supported"
            raise BadConversation(said, "unsupported")
        role, content = (self._get(turn, name) for name in names)
        for name, value in zip(names, (role, content)):
            if value is None:
                said = f"{where} has no field {self._fields[name]!r}; its fields are {', '.join(turn):.200}"
                raise BadConversation(f"{said}; choose with InstructionConfig.fields", "missing_field")
        if not isinstance(role, str) or role not in self._roles:
            said = f"{where}: unknown role {role!r:.60}; known are {', '.join(self._roles)}"
            raise BadConversation(f"{said}; InstructionConfig.roles maps others", "unknown_role")
        _check_weight(turn.get("weight"), self._roles[role], where)
        return _message(self._roles[role], _joined(content, where))


def _check_weight(weight: Any, role: str, where: str) -> None:
    """Raise BadConversation unless a turn's weight is 1, or absent; 0 may stand where nothing is trained on anyway."""
    if weight is None:
        return
    if isinstance(weight, bool) or weight not in (0, 1):
        raise BadConversation(f"{where}: weight = {weight!r:.60}: expected 0 or 1", "bad_weight")
    if weight == 0 and role == "assistant":
        raise BadConversation(f"{where} is an answer of weight 0, which is not supported", "unsupported")


def _joined(content: Any, where: str) -> Any:
    """Return content as a text if it is one, or a list of parts that are texts."""
    if not isinstance(content, list):
        return content
    for part in content:
        if not (isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)):
            raise BadConversation(f"{where} has a part that is no text: {part!r:.60}", "unsupported")
    return "".join(part["text"] for part in content)


def _is_turn(turn: Any) -> bool:
    return isinstance(turn, list) and len(turn) == 2 and all(isinstance(text, str) for text in turn)


def _message(role: str, content: Any) -> Message:
    return {"role": role, "content": content}


READERS: dict[str, Callable[[RecordReader, dict[str, Any]], list[Message]]] = {
    "messages": RecordReader._messages,
    "sharegpt": RecordReader._sharegpt,
    "alpaca": RecordReader._alpaca,
    "prompt": RecordReader._prompt,
}
