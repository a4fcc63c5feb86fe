"""Parameters of the endpoints, made from the requests: components, defaults, bounds and docs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

import gradio as gr
from gradio.components import Component
from pydantic.fields import FieldInfo

from ddpm_core.aliases import aliases_of
from ddpm_core.cli import bounds
from ddpm_core.requests import METHOD, GenerateRequest, Request
from ui.components.events import ONE_AT_A_TIME, announced
from ui.errors import as_problem
from ui.serving.together import ModelRequest

BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")

Act = Callable[[dict[str, Any]], Iterator[Any]]


@dataclass(frozen=True)
class Parameter:
    """One parameter of an endpoint.

    Attributes:
        component: gives its default and, for a file, refuses paths that were not uploaded.
        optional: whether it may be left out though its component has no default.
    """

    component: Component
    doc: str
    optional: bool = False


def parameters_of(*kinds: type[Request], without: Iterable[str] = ()) -> dict[str, Parameter]:
    """A parameter for every field of some requests, by name; a field that several have is the first one's."""
    fields = {name: field for kind in reversed(kinds) for name, field in kind.model_fields.items()}
    ordered = dict.fromkeys(name for kind in kinds for name in kind.model_fields)
    schemas = {name: schema for kind in reversed(kinds) for name, schema in properties(kind).items()}
    own = METHOD if any(issubclass(kind, GenerateRequest) for kind in kinds) else ()
    return {name: _parameter(name, fields[name], schemas[name], name in own) for name in ordered if name not in without}


def properties(kind: type[Request]) -> dict[str, dict[str, Any]]:
    """Each field's JSON schema: type and bounds, among others."""
    return kind.model_json_schema()["properties"]


def checkpoint(usual: str = "the one the app was started with") -> dict[str, Parameter]:
    """Which checkpoint to use; `usual` says which by default."""
    doc = f"one of /checkpoints; empty for {usual}"
    return {"checkpoint": Parameter(gr.Textbox("", label="checkpoint"), doc)}


def file(name: str, doc: str, optional: bool = False) -> dict[str, Parameter]:
    """A file that the program uploads."""
    return {name: Parameter(gr.File(label=name, type="filepath"), doc, optional)}


def number(name: str, default: float | None, schema: Mapping[str, Any]) -> gr.Number:
    """A number with bounds, as in JSON schema, for programs to read; the request refuses what is beyond."""
    said = {key: value for key, value in schema.items() if key in ("type", *BOUNDS)}
    box = gr.Number(default, label=name)
    # Gradio's schema of a number has no bounds. It can check them itself, but would say nothing of the field.
    setattr(box, "api_info", lambda: said)  # noqa: B010
    return box


def expose(
    act: Act,
    door: gr.Button,
    given: Mapping[str, Parameter],
    first: str,
    outputs: Any,
    returns: str,
    request_of: Callable[[dict[str, Any]], GenerateRequest] | None = None,
    in_batches: bool = False,
    windows: Callable[[dict[str, Any]], int] = lambda given: 1,
) -> None:
    """Register `act` under its name, its docs made from its docstring and what is `given`.

    Args:
        act: a generator function that is handed all parameters by name.
        door: a button that nobody sees.
        first: names, parted by spaces, of the parameters that programs hand over by place.
        returns: what it answers, for its docs.
        request_of: the request in what it is given, for the line.
        in_batches: whether it may be made in a batch (`events.announced`).
        windows: of the picture it is given, each a call; may raise anything.
    """
    names = list(dict.fromkeys([*first.split(), *given]))

    def endpoint(*values: Any) -> Iterator[Any]:
        yield from act(dict(zip(names, values, strict=True)))

    lines = "\n".join(f"    {name}: {given[name].doc}." for name in names)
    endpoint.__name__ = act.__name__
    endpoint.__doc__ = f"{inspect.getdoc(act)}\n\nArgs:\n{lines}\n\nReturns:\n    {returns}"
    endpoint.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [_signed(name, given[name]) for name in names]
    )
    components = [given[name].component for name in names]

    def expects(*values: Any) -> int:
        by_name = dict(zip(names, values, strict=True))
        return request_of(by_name).model_calls * windows(by_name) if request_of else 1

    def asks(*values: Any) -> ModelRequest:
        assert request_of is not None
        by_name = dict(zip(names, values, strict=True))
        return ModelRequest(by_name["checkpoint"], request_of(by_name))

    handler = announced(as_problem(endpoint), act.__name__, expects, asks if in_batches else None)
    door.click(handler, components, outputs, api_name=act.__name__, **ONE_AT_A_TIME)


def _signed(name: str, parameter: Parameter) -> inspect.Parameter:
    default = inspect.Parameter.empty
    if parameter.optional or parameter.component.value is not None:
        default = parameter.component.value
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default)


def _parameter(name: str, field: FieldInfo, schema: Mapping[str, Any], own: bool) -> Parameter:
    """A field's parameter; `own` if checkpoints may have a default of their own for it."""
    if not own:
        return Parameter(_component(name, field, schema, field.default), _doc(field))
    usual = f"{field.default:g}" if isinstance(field.default, float) else field.default
    doc = f"{_doc(field)}; unless given the checkpoint's own, mostly {usual}"
    return Parameter(_component(name, field, schema, None), doc, optional=True)


def _component(name: str, field: FieldInfo, schema: Mapping[str, Any], default: Any) -> Component:
    if get_origin(field.annotation) is Literal:
        choice = gr.Radio(list(get_args(field.annotation)), value=default, label=name)
        if aliases_of(field):  # which Gradio would refuse; what is none is refused by the request
            setattr(choice, "preprocess", lambda value: value)  # noqa: B010
        return choice
    if field.annotation is bool:
        return gr.Checkbox(default, label=name)
    if field.annotation in (int, float):
        return number(name, default, schema)
    return gr.Textbox(default or "", label=name)


def _doc(field: FieldInfo) -> str:
    lines = [field.description or ""]
    if get_origin(field.annotation) is Literal:
        lines.append(" or ".join(f'"{choice}"' for choice in get_args(field.annotation)))
    if words := bounds(field):
        lines.append(words)
    return "; ".join(lines)
