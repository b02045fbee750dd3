"""Asks a running Triton what it makes of the recorded configurations, and writes the answers back.

Start it on an empty repository first: `tritonserver --model-repository DIR --model-control-mode explicit >LOG 2>&1`;
then `python tests/unit/model/record_configs.py http://localhost:8000 DIR LOG`.
"""

from __future__ import annotations

import json
import re
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).with_name("recorded_configs.json")
MODEL = "class TritonPythonModel:\n    def execute(self, requests):\n        return [None for _ in requests]\n"


def main(url: str, repository: Path, log: Path) -> None:
    entries = json.loads(RECORDED.read_text(encoding="utf-8"))
    for entry in entries:
        _lay_out(repository / entry["model"], entry["pbtxt"])
    answers = [
        {"model": entry["model"], "pbtxt": entry["pbtxt"]} | _ask(url, entry["model"], repository, log)
        for entry in entries
    ]
    RECORDED.write_text(json.dumps(answers, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _lay_out(model: Path, pbtxt: str) -> None:
    for version in ("1", "3"):
        (model / version).mkdir(parents=True, exist_ok=True)
        (model / version / "model.py").write_text(MODEL)
    (model / "config.pbtxt").write_text(pbtxt, encoding="utf-8")


def _ask(url: str, model: str, repository: Path, log: Path) -> dict[str, str]:
    start = log.stat().st_size
    status, body = _call(f"{url}/v2/repository/models/{model}/load", b"")
    if status == 200:
        config = _call(f"{url}/v2/models/{model}/config")[1]
        _call(f"{url}/v2/repository/models/{model}/unload", b"")
        return {"config": config}
    if status == 400:
        found = re.search(r"Invalid argument: (.*);\n$", json.loads(body)["error"])
        return {"stage": "B", "error": found[1] if found else body}
    with log.open(encoding="utf-8") as lines:
        lines.seek(start)
        pattern = rf"(\"Poll failed for model directory '{re.escape(model)}': .*\")$"
        found = re.search(pattern, lines.read(), re.MULTILINE)
    text: Any = json.loads(found[1]) if found else body
    reason = text.removeprefix(f"Poll failed for model directory '{model}': ")
    return {"stage": "A", "error": reason.replace(f"{repository}/{model}/", "")}


def _call(url: str, data: bytes | None = None) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"), Path(sys.argv[2]).resolve(), Path(sys.argv[3]))
