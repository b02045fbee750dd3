from __future__ import annotations

import subprocess
import sys
import textwrap

from tests.unit.stub.test_process import ENVIRONMENT


def run(script: str, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """In an interpreter of its own, where nobody has imported a debugger or replaced a hook."""
    return subprocess.run(
        [sys.executable, *options, "-c", textwrap.dedent(script)],
        env={**ENVIRONMENT, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_breakpoint_that_nobody_waits_at_is_passed_over_and_logged() -> None:
    script = """
        from pyserve_stub import debugging
        debugging.install_hook()
        breakpoint()
        print("went on")
    """
    done = run(script)
    assert done.stdout == "went on\n"
    assert "<string>:4]  breakpoint() is passed over: no debugger is attached" in done.stderr
    assert "%pyserve debug NAME" in done.stderr


def test_who_has_chosen_another_debugger_gets_it() -> None:
    script = """
        from pyserve_stub import debugging
        debugging.install_hook()
        breakpoint("taken")
    """
    assert run(script, PYTHONBREAKPOINT="builtins.print").stdout == "taken\n"


def test_listening_goes_on_and_on_loopback_only() -> None:
    script = """
        import socket, sys
        from pyserve_stub import debugging
        assert "debugpy" not in sys.modules
        port = debugging.listen(0)
        assert debugging.listen(0) == port
        socket.create_connection(("127.0.0.1", port)).close()
        ports = [line.split()[1] for line in open("/proc/self/net/tcp").read().splitlines()[1:]]
        print([item.partition(":")[0] for item in ports if item.endswith(f":{port:04X}")][0])
    """
    done = run(script)
    assert done.stdout == "0100007F\n", done.stderr


def test_an_interpreter_without_a_debugger_is_named() -> None:
    script = """
        from pyserve_stub import debugging
        try:
            debugging.listen(0)
        except debugging.DebuggerMissing as error:
            print(error)
    """
    done = run("import sys; sys.modules['debugpy'] = None\n" + textwrap.dedent(script))
    assert done.stdout.startswith(f"debugpy cannot be imported by {sys.executable} (CPython "), done.stderr


def test_a_port_that_is_taken_is_named() -> None:
    script = """
        import socket
        from pyserve_stub import debugging
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            try:
                debugging.listen(port)
            except debugging.DebuggerMissing as error:
                print(str(error).replace(str(port), "N"))
        print(debugging.listen(port) == port)
    """
    assert run(script).stdout == "no debugger can listen on port N: Address already in use\nTrue\n"
