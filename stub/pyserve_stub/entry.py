"""Where an interpreter that is not the engine's begins: it runs the archive of this package, whose `__main__` this is.

Says what is wrong with the interpreter if it cannot run a stub. So that it can do that wherever it is run, it keeps to
what every Python since 2.7 understands, and imports the rest of the package only when that is known to work.
"""

import json
import os
import platform
import sys

#: The first byte of a NOTE frame.
NOTE = b"\x12"


def interpreter():  # type: () -> str
    """Which one this is."""
    return "%s (%s %s)" % (sys.executable, platform.python_implementation(), platform.python_version())


def unfitness():  # type: () -> str
    """Why it cannot run a stub; empty when it can."""
    if platform.python_implementation() != "CPython" or sys.version_info < (3, 8):
        return "The interpreter %s cannot run models: CPython 3.8 or newer is needed." % interpreter()
    try:
        import numpy  # noqa: F401
    except ImportError as error:
        text = "%s: %s" % (type(error).__name__, error)
        return "The interpreter %s has no usable numpy, without which no model runs: %s" % (interpreter(), text)
    return ""


def main():  # type: () -> None
    """`INTERPRETER ARCHIVE CHANNEL_FD STATUS_FD TITLE... ROOM`: the last argument only makes room for the title."""
    channel, page = int(sys.argv[1]), int(sys.argv[2])
    unfit = unfitness()
    if unfit:
        os.write(channel, NOTE + json.dumps({"op": "unfit", "text": unfit}).encode())
        sys.exit(1)

    import triton_python_backend_utils  # noqa: F401 - from this archive, whatever else has that name

    from pyserve_stub.birth import live

    sys.path.append(sys.path.pop(0))  # the archive last, where Triton has its own folder
    live(sys.argv[3:-1], (channel, 1, 2, page))


if __name__ == "__main__":
    main()
