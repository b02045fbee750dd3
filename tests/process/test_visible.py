"""What can be seen from outside: titles, logs by instance, no secrets; and that nobody wakes up for nothing."""

from __future__ import annotations

import threading
from pathlib import Path

from tests.process import machine
from tests.process.client import command, outputs, said
from tests.process.conftest import loaded
from tests.process.engine import TOKEN, Engine
from tests.process.waiting import wait_until


def test_titles(engine: Engine) -> None:
    model = loaded(engine, "puppet", instances=2)
    path = engine.repository / model / "1" / "model.py"
    zygote = engine.zygote()
    assert machine.descendants(engine.pid)[0] == zygote
    found = {pid: machine.title(pid) for pid in machine.descendants(zygote)}
    assert found == {item["pid"]: f"pyserve_stub {path} {item['name']}" for item in engine.instances(model)}
    assert sorted(item["name"] for item in engine.instances(model)) == [f"{model}_0_0", f"{model}_0_1"]


def test_what_models_say_is_kept_by_instance(engine: Engine) -> None:
    model = loaded(engine, "puppet", instances=2)
    gate = engine.gate()
    held = engine.infer_later(model, command("hold", gate=str(gate)))
    gate.wait_until_entered()
    engine.infer(model, command("say", text="hello\tworld"))
    gate.open()
    pid = said(held.result())
    expected = {
        ("stdout", "printed hello\tworld"),
        ("stderr", "complained hello\tworld"),
        ("log", "logged hello\tworld"),
        ("log", "told hello\tworld"),
    }
    speaker = next(item for item in engine.instances(model) if item["pid"] != pid)

    def heard() -> bool:
        records = [record for record in engine.logs(model) if "hello" in record["text"]]
        assert {record["pid"] for record in records} <= {speaker["pid"]}
        assert {record["instance"] for record in records} <= {speaker["name"]}
        found = {(record["stream"], record["text"]) for record in records}
        return expected <= found and any("UserWarning: warned hello" in text for _, text in found)

    wait_until(heard, lambda: f"all of it is there: {engine.logs(model)}")
    other = engine.http.get(f"/api/models/{model}/logs?instance={model}_0_9").json()["records"]
    assert other == []
    assert len(engine.http.get(f"/api/models/{model}/logs?tail=2").json()["records"]) == 2


def test_what_is_said_for_a_request_carries_its_id(engine: Engine, puppet: str) -> None:
    said(engine.infer(puppet, command("say", text="one"), id="first"))
    said(engine.infer(puppet, command("say", text="two")))
    said(engine.infer(puppet, command("say", text="three"), id="third"))

    def heard() -> bool:
        records = [(record["text"].partition(" ")[2], record["request"]) for record in engine.logs(puppet)]
        found = {word: {request for text, request in records if text == word} for word in ("one", "two", "three")}
        return found == {"one": {"first"}, "two": {""}, "three": {"third"}}

    wait_until(heard, lambda: f"each line is said for its request: {engine.logs(puppet)}")


def test_a_line_without_an_end_is_seen_while_the_model_goes_on(engine: Engine, puppet: str) -> None:
    gate = engine.gate()
    held = engine.infer_later(puppet, command("mutter", text="half a line", gate=str(gate)), id="slow")
    gate.wait_until_entered()
    wait_until(
        lambda: ("half a line", "slow") in [(record["text"], record["request"]) for record in engine.logs(puppet)],
        lambda: f"it is seen: {engine.logs(puppet)}",
    )
    gate.open()
    said(held.result())


def test_the_token_is_nowhere(engine: Engine, puppet: str) -> None:
    assert engine.tcp.get("/v2").status == 200
    engine.infer(puppet, command("echo"))
    environment = said(engine.infer(puppet, command("environment")))
    assert TOKEN not in str(environment)
    for pid in [engine.pid, *engine.tree()]:
        assert TOKEN not in machine.title(pid)
        if pid != engine.pid:
            assert TOKEN.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
    assert TOKEN not in engine.log.read_text()
    for path in ("/api/status", "/api/logs", f"/api/models/{puppet}/logs", "/v2", "/v2/nowhere"):
        assert TOKEN.encode() not in engine.http.get(path).body
    kept = engine.folder / "token"
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_stuck_stub_tells_where_it_is(engine: Engine, puppet: str) -> None:
    gate = engine.gate()
    held = engine.infer_later(puppet, command("hold", gate=str(gate)), id="who-waits")
    gate.wait_until_entered()
    [row] = engine.instances(puppet)
    assert (row["state"], row["current_request"]) == ("BUSY", "who-waits")
    assert engine.http.post(f"/api/models/{puppet}/stacks").status == 200
    wait_until(
        lambda: any("model.py" in record["text"] and " in enter" in record["text"] for record in engine.logs(puppet)),
        lambda: f"the line is in the log: {engine.logs(puppet)}",
    )
    gate.open()
    assert said(held.result()) == row["pid"]


def test_idle_processes_sleep(fresh_engine: Engine) -> None:
    engine = fresh_engine
    models = [loaded(engine, "puppet", instances=2) for _ in range(2)]
    for model in models * 10:
        assert "ANSWER" in outputs(engine.infer(model, command("plus_one", [1.0])))
    processes = [engine.pid, *engine.tree()]
    assert len(processes) == 6
    counts: list[int] = []

    def count() -> None:
        counts.append(sum(machine.wakeups(pid) for pid in processes))

    count()
    settled = threading.Event()
    while not settled.wait(0.5) and len(counts) < 8:  # until what the requests left to do is done
        count()
        if counts[-1] == counts[-2]:
            settled.set()
    before = counts[-1]
    threading.Event().wait(3.0)  # what is measured is a length of time in which nothing happens
    count()
    assert counts[-1] - before <= 6, f"{counts[-1] - before} wake-ups of {len(processes)} idle processes"
    assert engine.stop() == 0
