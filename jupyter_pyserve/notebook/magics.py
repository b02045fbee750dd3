"""`%pyserve` and `%%pyserve`: a line or a cell becomes one call of the API, and its result one output of the cell.

Owns what IPython must know (magics, completion, the cell's number and line); what the commands do is elsewhere.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Iterable, Iterator

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, magics_class

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook import api
from jupyter_pyserve.notebook.cells import CellError, model_source, show_syntax_error
from jupyter_pyserve.notebook.client import default_client
from jupyter_pyserve.notebook.completion import complete
from jupyter_pyserve.notebook.config_text import ConfigOptions, read_config_file
from jupyter_pyserve.notebook.control import Control
from jupyter_pyserve.notebook.debugging.commands import COMMANDS
from jupyter_pyserve.notebook.deployment import Deployment
from jupyter_pyserve.notebook.display import Progress, View
from jupyter_pyserve.notebook.failures import DeployError, ModelSyntaxError
from jupyter_pyserve.notebook.functions.decorator import ModelFunction
from jupyter_pyserve.notebook.kernel import complete as complete_source
from jupyter_pyserve.notebook.kernel import named
from jupyter_pyserve.notebook.options import HelpRequest, help_text, parse_cell, parse_line
from jupyter_pyserve.notebook.payloads import DeployEvent
from jupyter_pyserve.notebook.screen import Screen, say
from jupyter_pyserve.notebook.source import ModelSource
from jupyter_pyserve.notebook.workbench import Workbench, WrittenModel

COMPLETION_TIMEOUT_S = 0.5


@magics_class
class PyServeMagics(Magics):
    """The magics of one shell and the cells it has seen."""

    shell: InteractiveShell

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self.workbench = Workbench()

    @line_cell_magic
    def pyserve(self, line: str, cell: str | None = None) -> None:
        if cell is None:
            __tracebackhide__ = True
            self._run(parse_line, line, self._line)
        else:
            self._run(parse_cell, line, lambda args: _CELL[args.command](self, args, cell))

    pyserve.__doc__ = help_text()

    def _run(
        self,
        parse: Callable[[str], argparse.Namespace],
        line: str,
        command: Callable[[argparse.Namespace], View | None],
    ) -> None:
        try:
            args = parse(line)
        except HelpRequest as asked:
            say(str(asked))
            return
        except PyServeError as error:
            raise UsageError(error.message) from None
        __tracebackhide__ = True
        with _plain_errors():
            shown = command(args)
        if shown is not None:
            Screen(self.shell).show(shown)

    def _line(self, args: argparse.Namespace) -> View | None:
        __tracebackhide__ = True
        if args.command in _LINE:
            return _LINE[args.command](self, args)
        answer = COMMANDS[args.command](args)
        if isinstance(answer, View):
            return answer
        say(answer)
        return None

    # cell commands

    def _model(self, args: argparse.Namespace, cell: str) -> None:
        name = api.check_name(args.name)
        options = _config_options(args)
        if args.config is not None and not options.is_empty:
            raise PyServeError(Code.INVALID_ARG, "--config holds the whole configuration: leave the other options out")
        source = model_source(self.shell, cell)
        try:
            facts, warnings = api.check_model(source, name)
        except ModelSyntaxError as error:
            raise show_syntax_error(self.shell, source, error) from None
        for warning in warnings:
            say(f"warning: {warning}")
        config = None if args.config is None else read_config_file(args.config)
        written = WrittenModel(source=source, facts=facts, options=options, include=not args.no_include)
        self.workbench.put_model(name, written, config=config)
        if args.deploy:
            self._deploy(args)
            return
        self.workbench.config(name)  # says now what deploying would say later
        self._complete(written)
        say(f"model '{name}' is ready to deploy: %pyserve deploy {name}")

    def written(self, name: str) -> tuple[ModelSource, str] | None:
        """What is to be deployed under a name, a model's cell or a function; None when there is neither."""
        if name in self.workbench.names():
            return self._complete(self.workbench.model(name)), self.workbench.config(name)
        function = named(name, ModelFunction)
        return None if function is None else (function.model_source(), function.config_pbtxt)

    def _complete(self, written: WrittenModel) -> ModelSource:
        """With what the cell uses of other cells, as they are now."""
        if not written.include:
            return written.source
        source, doubts = complete_source(written.source)
        for doubt in doubts:
            say(f"warning: {doubt}")
        return source

    def _config(self, args: argparse.Namespace, cell: str) -> None:
        from jupyter_pyserve.model.config import parse_pbtxt

        name = api.check_name(args.name)
        parse_pbtxt(cell, model_name=name, path="config.pbtxt")
        self.workbench.put_config(name, cell)
        say(f"config.pbtxt of model '{name}' is kept for %pyserve deploy {name}")

    # line commands

    def _deploy(self, args: argparse.Namespace) -> None:
        name = args.name
        source, config = self.written(name) or (self.workbench.model(name).source, "")
        screen, client = Screen(self.shell), default_client()
        screen.show(Progress(name))

        def progress(event: DeployEvent) -> None:
            screen.show(Progress(name, event))

        try:
            deployment = api.start(client, name, source, config)
            served = api.follow(client, name, source, deployment, wait_s=args.wait, on_event=progress)
        except KeyboardInterrupt:
            screen.show(Progress(name, note="interrupted"))
            raise DeployError(
                Code.CANCELLED,
                f"interrupted: what has begun for '{name}' ends by itself; %pyserve status {name} tells how",
            ) from None
        except PyServeError:
            screen.show(Progress(name, note="not deployed"))
            raise
        if served is not None:
            screen.show(served)
            return
        self._let_go_on(name, source, deployment, screen)

    def _let_go_on(self, name: str, source: ModelSource, deployment: Deployment, screen: Screen) -> None:
        """The cell ends, the deployment doesn't: what comes is shown where it would have been."""
        client = default_client()

        def later(event: DeployEvent) -> None:
            if event["event"] == "progress":
                screen.show(Progress(name, event))
                return
            try:
                screen.show(api.served_of_event(client, name, source, event))
            except PyServeError as error:
                screen.show(Progress(name, note=f"not deployed: {error.message}"))

        deployment.continue_in_background(later)
        say(f"model '{name}' is still loading; that goes on in the background")

    def _list(self, args: argparse.Namespace) -> View:
        return api.models()

    def _status(self, args: argparse.Namespace) -> View:
        return api.status(args.name)

    def _logs(self, args: argparse.Namespace) -> View:
        return api.logs(args.name, tail=args.lines, instance=args.instance)

    def _undeploy(self, args: argparse.Namespace) -> None:
        api.undeploy(args.name, delete=args.delete)
        say(f"model '{args.name}' is out of service{' and its directory deleted' if args.delete else ''}")

    def _load(self, args: argparse.Namespace) -> View:
        api.load(args.name)
        return api.status(args.name)

    def _unload(self, args: argparse.Namespace) -> None:
        api.unload(args.name)
        say(f"model '{args.name}' is unloaded")

    def _restart(self, args: argparse.Namespace) -> View:
        try:
            api.restart(args.name, force=args.force)
        except KeyboardInterrupt:
            raise PyServeError(
                Code.CANCELLED,
                f"interrupted while '{args.name}' finishes what it is executing; "
                f"%pyserve restart {args.name} --force does not wait for that",
            ) from None
        return api.status(args.name)

    def _help(self, args: argparse.Namespace) -> None:
        say(help_text())

    # completion

    @context_matcher()  # type: ignore[untyped-decorator]
    def complete(self, context: CompletionContext) -> SimpleMatcherResult:
        """A matcher of IPython's completer. Where it knows what may stand, Python's names are not offered beside it."""
        found = complete(context.text_until_cursor, context.token, self._names)
        words = [SimpleCompletion(text=word, type="magic argument") for word in found]
        return {"completions": words, "suppress": bool(words)}

    def _names(self, command: str) -> Iterable[str]:
        written = self.workbench.names()
        if command in ("deploy", "model", "config"):
            return written
        with contextlib.suppress(PyServeError):  # no engine: nothing more to offer
            control = Control(default_client(may_start=False).connection)
            if command == "replay":
                return [row["id"] for row in control.recordings(timeout_s=COMPLETION_TIMEOUT_S)]
            status = control.status(timeout_s=COMPLETION_TIMEOUT_S)
            return sorted({*written, *(info["name"] for info in status["models"])})
        return written


_LINE: dict[str, Callable[[PyServeMagics, argparse.Namespace], View | None]] = {
    "deploy": PyServeMagics._deploy,
    "list": PyServeMagics._list,
    "status": PyServeMagics._status,
    "logs": PyServeMagics._logs,
    "undeploy": PyServeMagics._undeploy,
    "load": PyServeMagics._load,
    "unload": PyServeMagics._unload,
    "restart": PyServeMagics._restart,
    "help": PyServeMagics._help,
}
_CELL: dict[str, Callable[[PyServeMagics, argparse.Namespace, str], None]] = {
    "model": PyServeMagics._model,
    "config": PyServeMagics._config,
}


def _config_options(args: argparse.Namespace) -> ConfigOptions:
    return ConfigOptions(
        inputs=tuple(args.input),
        outputs=tuple(args.output),
        max_batch_size=args.max_batch_size,
        instances=args.instances,
        kind=args.kind,
        dynamic_batching=args.dynamic_batching,
        preferred_batch_size=args.preferred_batch_size,
        max_queue_delay_us=args.max_queue_delay_us,
        decoupled=args.decoupled,
        parameters=dict(args.parameter),
    )


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    """An error that was meant for the user is shown as its text, without a traceback through this package."""
    try:
        yield
    except DeployError:
        raise
    except PyServeError as error:
        raise CellError(error.code, error.message) from None
    except KeyboardInterrupt:
        raise CellError(Code.CANCELLED, "interrupted; what the engine has begun goes on") from None
