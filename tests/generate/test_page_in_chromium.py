"""The chat page in a browser, on a phone and on a desk; PAGES_IN=DIR keeps the pictures."""

import os
import time
from pathlib import Path

import pytest

from baichuan_jax.recipe.load import load_config
from baichuan_jax.recipe.run import Run
from tests.chat.spelling import talk
from tests.generate.serving import serving, write_config
from tests.lab.chromium import FOUND, Chromium

pytestmark = [pytest.mark.browser, pytest.mark.skipif(FOUND is None, reason="there is no Chromium here")]

SEEN = """
window.sizes = [];
new MutationObserver(() => window.sizes.push(document.getElementById("said").textContent.length))
  .observe(document.getElementById("said"), { childList: true, subtree: true, characterData: true });
"""
TURNS = """[...document.querySelectorAll(".turn")].map((turn) => [turn.className.split(" ")[1],
  [...turn.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data).join("")])"""


def say(browser: Chromium, text: str) -> None:
    """Type a message, send it, and wait for the end of the answer."""
    browser.run(f"document.getElementById('text').value = {text!r}; document.getElementById('ask').requestSubmit()")
    deadline = time.monotonic() + 300
    while browser.run("document.getElementById('send').textContent") != "Send":
        assert time.monotonic() < deadline
        time.sleep(0.1)


def turns(browser: Chromium) -> list[list[str]]:
    return browser.run(TURNS)


@pytest.mark.parametrize("width", [390, 1280])
def test_a_conversation_on_the_page(tmp_path, tokenizer_file, params, layout, width):
    config = write_config(tmp_path, tokenizer_file, params, layout)
    with config.open("a") as text:
        text.write("ChatConfig.template = 'alpaca'\nSampleConfig.max_tokens = 30\nMeshConfig.data = 1\n")
    run = Run(load_config(config))
    with serving(config) as server, Chromium(tmp_path / "profile") as browser:
        browser.show(f"http://127.0.0.1:{server.port}/", width, "light")
        browser.run(f"{SEEN}; document.getElementById('system').value = 's'; 0")
        say(browser, "中国")
        first = run.chat(talk("中国", system="s"))
        assert turns(browser) == [["user", "中国"], ["assistant", first]]
        assert len(set(browser.run("window.sizes"))) > 4  # as it was made
        say(browser, "<b>a</b>")
        second = run.chat(talk("中国", first, "<b>a</b>", system="s"))
        assert turns(browser)[2:] == [["user", "<b>a</b>"], ["assistant", second]]
        assert browser.run("document.documentElement.scrollWidth <= innerWidth")
        keep(browser, f"chat-{width}")
        say(browser, "a b " * 200)
        assert turns(browser)[-1][0] == "error"
        assert "shorten it: the model's context" in turns(browser)[-1][1]
        browser.run("document.getElementById('new').click()")
        say(browser, "中国")
        assert turns(browser) == [["user", "中国"], ["assistant", first]]
        assert browser.run("document.getElementById('model').textContent") == "a small model"


def keep(browser: Chromium, name: str) -> None:
    """Keep a picture where the environment names a folder for it."""
    if place := os.environ.get("PAGES_IN"):
        Path(place).mkdir(parents=True, exist_ok=True)
        browser.screenshot(Path(place) / f"{name}.png")
