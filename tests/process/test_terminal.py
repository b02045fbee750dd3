"""`pyserve status` and `pyserve logs`, as they run in a terminal."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.process.client import command, said
from tests.process.engine import Engine, environment
from tests.process.waiting import wait_until


def pyserve(engine: Engine, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "jupyter_pyserve", *words, "--runtime-dir", str(engine.folder)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_status(engine: Engine, puppet: str) -> None:
    shown = pyserve(engine, "status")
    assert shown.returncode == 0, shown.stderr
    assert puppet in shown.stdout
    assert "READY" in shown.stdout
    [row] = engine.instances(puppet)
    assert str(row["pid"]) in pyserve(engine, "status", puppet).stdout


def test_status_for_programs(engine: Engine, puppet: str) -> None:
    told = json.loads(pyserve(engine, "status", puppet, "--json").stdout)
    [model] = told["models"]
    assert model["name"] == puppet
    assert model["instances"][0]["pss_bytes"] > 0


def test_logs(engine: Engine, puppet: str) -> None:
    said(engine.infer(puppet, command("say", text="hello \x1b[31mred"), id="r1"))
    wait_until(lambda: sum("hello" in row["text"] for row in engine.logs(puppet)) >= 4, "all of it is there")
    shown = pyserve(engine, "logs", puppet, "--search", "PRINTED", "--request", "r1").stdout
    assert "printed hello \\x1b[31mred" in shown
    assert "\x1b" not in shown
    assert "told hello" not in shown


def test_following_logs(engine: Engine, puppet: str) -> None:
    words = ["logs", puppet, "-f", "--search", "printed", "--runtime-dir", str(engine.folder)]
    with subprocess.Popen(
        [sys.executable, "-m", "jupyter_pyserve", *words], env=environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            for text in ("one", "two"):
                said(engine.infer(puppet, command("say", text=text)))
                assert f"printed {text}" in process.stdout.readline()
        finally:
            process.terminate()


def test_what_goes_wrong(engine: Engine) -> None:
    shown = pyserve(engine, "status", "nobody")
    assert shown.returncode == 1
    assert shown.stderr == "Request for unknown model: 'nobody' is not found\n"
    shown = pyserve(engine, "logs", "--level", "LOUD")
    assert shown.returncode == 1
    assert "'level' must be one of" in shown.stderr


def test_no_engine(engine: Engine) -> None:
    words = [sys.executable, "-m", "jupyter_pyserve", "status"]
    nowhere = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)
    assert (nowhere.returncode, nowhere.stdout) == (1, "")
    assert "no engine is known here" in nowhere.stderr
    gone = subprocess.run([*words, "--runtime-dir", "/nowhere"], env=environment(), capture_output=True, check=False)
    assert gone.returncode == 1
    assert b"Traceback" not in gone.stderr
