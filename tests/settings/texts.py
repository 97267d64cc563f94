"""A small corpus in which every setting of the data step has something to do."""

import json
import random
from pathlib import Path

HAN = [chr(point) for point in range(0x4E00, 0x4E50)]
NEWS = "新华社北京今日电国务院召开会议研究部署经济工作强调坚持改革开放推动发展全国各地代表出席"
REVIEWS = "这家酒店房间早餐前台服务态度味道价格不错便宜推荐下次还会再来住了两晚觉得有点吵闹"
ENGLISH = "the people of these united states have made a constitution and we report on what it does for them".split()
LEAK = "山脚下那座石桥是由谁出钱修起来的呢"
SHORT_LEAK = "二月里飞来几只燕子"


def sentences(rng: random.Random, characters: str | list[str], count: int) -> list[str]:
    return ["".join(rng.choices(characters, k=rng.randint(14, 22))) + "。" for _ in range(count)]


def english(rng: random.Random, count: int) -> str:
    return " ".join(" ".join(rng.choices(ENGLISH, k=12)).capitalize() + "." for _ in range(count))


def chinese() -> list[str]:
    """Return documents; the last ones are like others of them, or hold what a setting looks for."""
    rng = random.Random(0)
    ordinary = ["".join(sentences(rng, HAN, 6)) for _ in range(16)]
    parts = [sentences(rng, HAN, 6) for _ in range(4)]
    near = "".join(parts[0][:5]) + parts[0][5][:-2] + "。"
    half = "".join(parts[1][:3]) + "".join(sentences(rng, HAN, 3))
    repeated = parts[2][0]
    return [
        *ordinary,
        *map("".join, parts),
        near,
        half,
        *("".join([*sentences(rng, HAN, 3), repeated, *sentences(rng, HAN, 3)]) for _ in range(2)),
        "".join(sentences(rng, HAN, 5)) + "他们在那里赌博。" + "".join(sentences(rng, HAN, 5)),
        "".join(sentences(rng, HAN, 5)) + "\n返回顶部\n" + "".join(sentences(rng, HAN, 5)),
        "".join(sentences(rng, HAN, 5)) + f"{LEAK}？" + "".join(sentences(rng, HAN, 5)),
        "".join(sentences(rng, HAN, 5)) + f"{SHORT_LEAK}。" + "".join(sentences(rng, HAN, 5)),
    ]


def write_texts(directory: Path) -> None:
    """Write zh.jsonl with a line that is not JSON, en-*.jsonl, news and reviews to learn from, and a test."""
    rng = random.Random(1)
    write = lambda name, rows: (directory / name).write_text("\n".join(rows) + "\n", encoding="utf-8")
    row = lambda text: json.dumps({"text": text, "more": text[::-1]}, ensure_ascii=False)
    write("zh.jsonl", [*map(row, chinese()), "not JSON"])
    for part in range(2):
        write(f"en-{part}.jsonl", [row(english(rng, 6)) for _ in range(12)])
    write("news.jsonl", [row("".join(sentences(rng, NEWS, 3))) for _ in range(170)])
    mixed = [NEWS if number % 9 == 0 else REVIEWS for number in range(170)]
    write("reviews.jsonl", [row("".join(sentences(rng, characters, 3))) for characters in mixed])
    write("one.jsonl", [row("".join(sentences(rng, HAN, 6)))])
    tests = [{"question": f"{question}？", "answer": "无人知晓"} for question in (LEAK, SHORT_LEAK)]
    write("exam.jsonl", [json.dumps(test, ensure_ascii=False) for test in tests])
