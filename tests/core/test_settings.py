from dataclasses import dataclass, replace

from baichuan_jax.core.settings import help_of, setting


@dataclass(frozen=True)
class Section:
    steps: int = setting(3, "how many")
    names: dict[str, int] = setting({"a": 1}, "numbers of names")
    plain: int = 0


def test_a_setting_is_a_plain_dataclass_field():
    assert Section.steps == 3
    assert Section() == Section(3, {"a": 1}) == replace(Section(4), steps=3)
    assert help_of(Section) == {"steps": "how many", "names": "numbers of names"}


def test_instances_share_no_dict():
    Section().names["b"] = 2
    assert Section().names == {"a": 1}
