"""Command-line options made from a pydantic request, so bounds and help are written once, where it is."""

from __future__ import annotations

import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from tempfile import TemporaryFile
from types import MappingProxyType
from typing import Annotated, Any, Literal, NoReturn, TypeVar, get_args, get_origin

import typer
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from ddpm_core.aliases import aliases_of
from ddpm_core.errors import UserError, complaint
from ddpm_core.images.masks import FACE_PARTS

Model = TypeVar("Model", bound=BaseModel)

CHECKPOINT = Path("checkpoints/faces-128")  # unless another is named
Checkpoint = Annotated[Path, typer.Option(help="checkpoint folder, or user/name[@revision] on the Hugging Face Hub")]
Device = Annotated[str, typer.Option(help="cpu, cuda, mps, or auto")]
Mask = Annotated[Path | None, typer.Option(help="picture of that shape, light or opaque where painted")]
Region = Annotated[str | None, typer.Option(help=f"a ready-made mask instead: {', '.join(FACE_PARTS)}")]
NAMED = 4  # of the files that were written
ADVICE = re.compile(r"\bset (\w+) to\b")  # of sentences that pages and programs get as well, and know the field
FLAGS = {"label": "class"}  # fields called otherwise because Python keeps the word to itself

# Of the command that runs, its options by the fields they are made from: complaints name what was typed.
_OPTIONS: ContextVar[Mapping[str, str]] = ContextVar("options", default=MappingProxyType({}))


def _parameters(model: type[BaseModel], panels: Mapping[str, str], prefix: str = "") -> list[inspect.Parameter]:
    parameters = []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            parameters += _parameters(field.annotation, panels, f"{prefix}{name}__")
            continue
        flag = flag_of(name, prefix)
        negative = f"/--no-{flag[2:]}" if field.annotation is bool else ""
        # None, "not given", lets presets and the model's own defaults speak.
        panel = panels.get((prefix + name).replace("__", "."))
        how: dict[str, Any] = {"help": _help(field), "show_default": False, "rich_help_panel": panel}
        kind = _option_type(field) | None
        if aliases := aliases_of(field):
            how |= {"parser": aliases, "metavar": f"<{'|'.join(get_args(field.annotation))}>"}
            kind = str | None
        option = typer.Option(None, f"{flag}{negative}", **how)
        parameters.append(
            inspect.Parameter(prefix + name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=kind)
        )
    return parameters


def flag_of(name: str, prefix: str = "") -> str:
    """The option for a field; `prefix` names the sections around it, "vae__" say."""
    return "--" + (prefix + FLAGS.get(name, name)).replace("__", "-").replace("_", "-")


def flags(given: dict[str, Any], prefix: str = "") -> list[str]:
    """The way back of `takes`: options that give a command these values, nested as its model is. None is not said."""
    arguments = []
    for name, value in given.items():
        flag = flag_of(name, prefix)
        if isinstance(value, dict):
            arguments += flags(value, f"{prefix}{name}__")
        elif isinstance(value, bool):
            arguments.append(flag if value else f"--no-{flag[2:]}")
        elif value is not None:
            arguments += [flag, plain(value)]
    return arguments


def _option_type(field: FieldInfo) -> Any:
    if field.annotation in (int, float, bool, str, Path) or get_origin(field.annotation) is Literal:
        return field.annotation
    return str


def _help(field: FieldInfo) -> str:
    default = "required" if field.is_required() else f"default: {plain(field.default) or 'empty'}"
    words = bounds(field)
    return f"{field.description}{f' ({words})' if words else ''} [{default}]"


def bounds(field: FieldInfo) -> str:
    """A number's bounds in words: "1 to 999", "above 0 to 1", "at least 1"; empty if anything goes."""
    limits = _limit(field, "ge", "gt"), _limit(field, "le", "lt")
    low, high = (f"{limit:g}" if isinstance(limit, float) else limit for limit in limits)
    above = "above " * (_limit(field, "gt") is not None)
    below = "below " * (_limit(field, "lt") is not None)
    if low is None:
        return "" if high is None else f"{below or 'at most '}{high}"
    return f"{above or 'at least '}{low}" if high is None else f"{above}{low} to {below}{high}"


def _limit(field: FieldInfo, *rules: str) -> Any:
    given = (getattr(constraint, rule, None) for constraint in field.metadata for rule in rules)
    return next((limit for limit in given if limit is not None), None)


def plain(value: Any) -> str:
    """A setting's value as typed on the command line: "64,128"; "none" where there is none."""
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else "none" if value is None else str(value)


def takes(
    *models: type[BaseModel], without: Sequence[str] = (), groups: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> Callable:
    """Give a command `f(given, **extra)` one option per field of some models, nested fields joined by a dash.

    `given` receives what the user typed, nested as the models are; `fields_of` parts it. Fields named in `without` get
    none; `groups` names the parts of the help, and their fields by place ("vae.channels").
    """

    panels = {place: group for group, places in groups.items() for place in places}

    def decorate(command: Callable) -> Callable:
        own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "given"]
        every = {p.name: p for model in reversed(models) for p in _parameters(model, panels)}
        ordered = dict.fromkeys(p.name for model in models for p in _parameters(model, panels))
        fields = [every[name] for name in ordered if name not in without]
        shown = [None, *groups]  # panels come in the order of their first options
        fields.sort(key=lambda parameter: shown.index(parameter.default.rich_help_panel))
        options = {p.name: p.default.param_decls[0].partition("/")[0] for p in fields}

        def run(**values: Any) -> None:
            given: dict[str, Any] = {}
            for name in options:
                if (value := values.pop(name)) is not None:
                    *path, last = name.split("__")
                    section = given
                    for key in path:
                        section = section.setdefault(key, {})
                    section[last] = value
            typed = _OPTIONS.set(options)
            try:
                command(given=given, **values)
            finally:
                _OPTIONS.reset(typed)

        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + fields
        )
        run.__doc__, run.__name__ = command.__doc__, command.__name__
        return run

    return decorate


def settings_of(given: Mapping[str, Any], model: type[Model]) -> Model:
    """One of the models of `takes` from what was given. Raises pydantic's `ValidationError`."""
    return model.model_validate(fields_of(model, given))


def fields_of(model: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    """Of what was given to several models of `takes`, that for one."""
    return {name: value for name, value in given.items() if name in model.model_fields}


def output_file(path: Path, *suffixes: str) -> None:
    """Raises `UserError` for a file to write that is a folder, or of none of these formats."""
    if path.is_dir():
        raise UserError(f"{path} is a folder; name a file in it that ends in {' or '.join(suffixes)}.")
    if path.suffix.lower() not in suffixes:
        raise UserError(f"{path} says no format that can be written; let its name end in {' or '.join(suffixes)}.")


def output_folder(path: Path) -> None:
    """Make a folder to write into, before the work. Raises `UserError` if it cannot be written to."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"nothing can be written into {path} ({reason}); choose another folder.") from None


def say(*sentences: str) -> None:
    """Print sentences; letters that standard output has none for are spelled out."""
    encoding = sys.stdout.encoding or "utf-8"
    for sentence in sentences:
        typer.echo(sentence.encode(encoding, "backslashreplace").decode(encoding))


def say_written(paths: Sequence[Path], folder: Path | None = None) -> None:
    """Say in one line what was written: a file, or pictures in a folder, the first few by name."""
    if folder is None:
        say(f"Wrote {', '.join(map(str, paths))}.")
        return
    names = [path.name for path in paths[:NAMED]] + ["…"] * (len(paths) > NAMED)
    say(f"Wrote {len(paths)} picture{'s' * (len(paths) != 1)} to {folder}: {', '.join(names)}")


def merge(*layers: dict[str, Any]) -> dict[str, Any]:
    """Nested dictionaries laid over each other, the last one on top."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.items():
            merged[name] = merge(merged.get(name, {}), value) if isinstance(value, dict) else value
    return merged


def run(command: Callable) -> None:
    """Run a command built with `takes`; a mistake of the program's own ends it with traceback and exit status 1."""
    # Markdown, since in rich's own markup a default in brackets is taken for a tag, and not shown.
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown")
    app.command()(command)
    try:
        app()
    except Exception:
        traceback.print_exc()
        typer.echo("Error: something went wrong here that nothing given is to blame for; see above where.", err=True)
        sys.exit(1)


@contextmanager
def in_one_sentence() -> Iterator[None]:
    """End the command with a sentence, as `fail` does, on a `UserError`, an OSError, or pydantic's complaint about a
    request.
    """
    try:
        yield
    except ValidationError as error:
        fail(complaint(error, _as_typed))
    except UserError as error:
        fail(ADVICE.sub(lambda found: f"set {_as_typed((found[1],))} to", str(error)))
    except OSError as error:
        fail(str(error))


def _as_typed(place: tuple[int | str, ...]) -> str:
    """The option for a field of a request, by the place of what is wrong in it or below it."""
    options = _OPTIONS.get()
    names = ("__".join(map(str, place[:end])) for end in range(len(place), 0, -1))
    return next((options[name] for name in names if name in options), " ".join(map(str, place)) or "request")


def fail(sentence: str) -> NoReturn:
    """End the command with one sentence on standard error and exit status 2."""
    typer.echo(f"Error: {sentence}", err=True)
    raise typer.Exit(2)
