"""Conversion of Chinese characters, and what is said when its package is absent."""

import sys

import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.rules.chinese import converter


def test_keep():
    assert converter("keep") is None


def test_converts():
    pytest.importorskip("opencc")
    simplified, traditional = converter("simplified"), converter("traditional")
    assert simplified("漢字與資訊，頭髮乾燥，乾隆皇帝。ABC") == "汉字与资讯，头发干燥，乾隆皇帝。ABC"
    assert traditional("头发发现干燥，皇后在后面。ABC") == "頭髮發現乾燥，皇后在後面。ABC"
    assert simplified(simplified("漢字")) == "汉字"


def test_absent(monkeypatch):
    monkeypatch.setitem(sys.modules, "opencc", None)
    with pytest.raises(UserError, match=r"FilterConfig.chinese = 'simplified'.*\.\[chinese\]"):
        converter("simplified")
