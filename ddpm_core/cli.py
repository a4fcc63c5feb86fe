"""Command-line options made from a pydantic request, so bounds and help are written once, where it is."""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NoReturn, Optional, get_origin

import typer
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from ddpm_core.errors import UserError

FLAGS = {"label": "class"}  # fields called otherwise because Python keeps the word to itself


def _parameters(model: type[BaseModel], prefix: str = "") -> list[inspect.Parameter]:
    parameters = []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            parameters += _parameters(field.annotation, f"{prefix}{name}__")
            continue
        flag = (prefix + FLAGS.get(name, name)).replace("__", "-").replace("_", "-")
        negative = f"/--no-{flag}" if field.annotation is bool else ""
        # None, "not given", lets presets and the model's own defaults speak.
        option = typer.Option(None, f"--{flag}{negative}", help=_help(field), show_default=False)
        kind: Any = Optional[_option_type(field)]  # type: ignore[misc]
        parameters.append(
            inspect.Parameter(prefix + name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=kind)
        )
    return parameters


def flags(given: dict[str, Any], prefix: str = "") -> list[str]:
    """The way back of `takes`: options that give a command these values, nested as its model is. None is not said."""
    said = []
    for name, value in given.items():
        flag = prefix + FLAGS.get(name, name).replace("_", "-")
        if isinstance(value, dict):
            said += flags(value, f"{flag}-")
        elif isinstance(value, bool):
            said.append(f"--{flag}" if value else f"--no-{flag}")
        elif value is not None:
            said += [f"--{flag}", plain(value)]
    return said


def _option_type(field: FieldInfo) -> Any:
    if field.annotation in (int, float, bool, str, Path) or get_origin(field.annotation) is Literal:
        return field.annotation
    return str


def _help(field: FieldInfo) -> str:
    default = "required" if field.is_required() else f"default: {plain(field.default)}"
    return f"{field.description} [{default}]"


def plain(value: Any) -> str:
    """A setting's value as it is typed on the command line: "64,128"; "none" where there is none."""
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else "none" if value is None else str(value)


def takes(model: type[BaseModel], without: Sequence[str] = ()) -> Callable:
    """Give a command `f(given, **extra)` one option per field of `model`, nested fields joined by a dash.

    Fields named in `without` get none.

    `given` receives what the user typed, nested as the model is, and nothing else.
    """

    def decorate(command: Callable) -> Callable:
        own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "given"]
        fields = [p for p in _parameters(model) if p.name not in without]
        names = {p.name for p in fields}

        def run(**values: Any) -> None:
            given: dict[str, Any] = {}
            for name in names:
                if (value := values.pop(name)) is not None:
                    *path, last = name.split("__")
                    section = given
                    for part in path:
                        section = section.setdefault(part, {})
                    section[last] = value
            command(given=given, **values)

        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + fields
        )
        run.__doc__, run.__name__ = command.__doc__, command.__name__
        return run

    return decorate


def complaint(error: ValidationError) -> str:
    """One sentence for the first thing wrong with a request, naming the field and what it got."""
    first = error.errors()[0]
    name = " ".join(str(part) for part in first["loc"]) or "request"
    if first["type"] == "missing":
        return f"{name} is missing."
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if isinstance(first["input"], dict | BaseModel):  # said of several fields together, which the message names
        return f"{message}." if not first["loc"] else f"{name}: {message}."
    return f"{name} {message}, not {str(first['input'])[:60]!r}."


def merge(*layers: dict[str, Any]) -> dict[str, Any]:
    """Nested dictionaries laid over each other, the last one on top."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.items():
            merged[name] = merge(merged.get(name, {}), value) if isinstance(value, dict) else value
    return merged


def run(command: Callable) -> None:
    """Run a command built with `takes`; a mistake of the program's own ends it with its traceback and exit status 1."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    try:
        app()
    except Exception:
        traceback.print_exc()
        typer.echo("Error: something went wrong here that nothing given is to blame for; see above where.", err=True)
        sys.exit(1)


@contextmanager
def in_one_sentence() -> Iterator[None]:
    """End the command with a sentence, as `fail` does, where a request, a file or what else was given cannot be used.

    That is where a `UserError`, pydantic's complaint about a request, or an OSError is raised inside.
    """
    try:
        yield
    except ValidationError as error:
        fail(complaint(error))
    except (UserError, OSError) as error:
        fail(str(error))


def fail(sentence: str) -> NoReturn:
    """End the command with one sentence on standard error and exit status 2."""
    typer.echo(f"Error: {sentence}", err=True)
    raise typer.Exit(2)
