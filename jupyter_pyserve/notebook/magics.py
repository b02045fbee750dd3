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
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook import api, offers
from jupyter_pyserve.notebook.cells import CellError, model_source, show_syntax_error
from jupyter_pyserve.notebook.client import default_client
from jupyter_pyserve.notebook.commands.hints import hint
from jupyter_pyserve.notebook.commands.scene import Scene
from jupyter_pyserve.notebook.commands.table import COMMANDS
from jupyter_pyserve.notebook.completion import complete
from jupyter_pyserve.notebook.config_text import ConfigOptions, read_config_file
from jupyter_pyserve.notebook.deployment import Deployment
from jupyter_pyserve.notebook.display import Progress, View
from jupyter_pyserve.notebook.failures import DeployError, ModelSyntaxError
from jupyter_pyserve.notebook.functions.decorator import ModelFunction
from jupyter_pyserve.notebook.kernel import complete as complete_source
from jupyter_pyserve.notebook.kernel import named, names_of
from jupyter_pyserve.notebook.options import HelpRequest, has_expressions, help_text, parse_cell, parse_line
from jupyter_pyserve.notebook.payloads import DeployEvent
from jupyter_pyserve.notebook.screen import Screen, say
from jupyter_pyserve.notebook.source import ModelSource
from jupyter_pyserve.notebook.workbench import Workbench, WrittenModel

#: Above the magic: IPython's own call of it, then whoever wrote it.
_USERS_FRAME = 2


@magics_class
class PyServeMagics(Magics):
    """The magics of one shell and the cells it has seen."""

    shell: InteractiveShell

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self.workbench = Workbench()

    @no_var_expand
    @line_cell_magic
    def pyserve(self, line: str, cell: str | None = None) -> None:
        if cell is not None or not has_expressions(line):  # braces of expressions are Python's own
            line = self.shell.var_expand(line, depth=_USERS_FRAME)  # type: ignore[no-untyped-call]
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
        with _plain_errors(getattr(args, "name", None) or ""):
            shown = command(args)
        if shown is not None:
            Screen(self.shell).show(shown)

    def _line(self, args: argparse.Namespace) -> View | None:
        __tracebackhide__ = True
        if args.command == "deploy":
            self._deploy(args)
            return None
        if args.command == "help":
            say(help_text(args.topic))
            return None
        answer = COMMANDS[args.command](args, Scene(self.shell))
        if not isinstance(answer, str):
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
        from jupyter_pyserve.model.config import parse_pbtxt, require_name

        name = api.check_name(args.name)
        require_name(parse_pbtxt(cell, model_name=name, path="config.pbtxt"), name)
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

    # completion

    @context_matcher()  # type: ignore[untyped-decorator]
    def complete(self, context: CompletionContext) -> SimpleMatcherResult:
        """A matcher of IPython's completer. Where it knows what may stand, Python's names are not offered beside it."""
        found = complete(context.text_until_cursor, context.token, self._names)
        words = [SimpleCompletion(text=word, type="magic argument") for word in found]
        return {"completions": words, "suppress": bool(words)}

    def _names(self, what: str, command: str, model: str) -> Iterable[str]:
        if what != "name":
            return offers.parts(what, model, command)
        if command == "replay":
            return offers.recordings()
        written = [*self.workbench.names(), *names_of(ModelFunction)]
        if command in ("deploy", "model", "config"):
            return sorted(set(written))
        served = (info["name"] for info in offers.models())
        return sorted({*written, *served})


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
def _plain_errors(name: str) -> Iterator[None]:
    """An error that was meant for the user is shown as its text and what to do, without a traceback through here."""
    try:
        yield
    except DeployError:
        raise
    except PyServeError as error:
        step = hint(error, name, lambda: [info["name"] for info in offers.models()])
        raise CellError(error.code, f"{error.message}\n{step}" if step else error.message) from None
    except KeyboardInterrupt:
        raise CellError(Code.CANCELLED, "interrupted; what the engine has begun goes on") from None
