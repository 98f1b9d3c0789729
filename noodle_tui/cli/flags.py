"""Flags made from RunConfig. Values come as text and only where given: RunConfig checks them, and knows which were given."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from noodle_tui.config import Option, options

Mouse = Annotated[bool, typer.Option("--mouse/--no-mouse", help="let the app see the mouse (then select text with shift)")]


def with_options(names: list[str] | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options of RunConfig (all, or `names`), after its own. They arrive as keywords."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        own = [p for p in inspect.signature(command).parameters.values() if p.kind is not p.VAR_KEYWORD]
        made = [parameter(o) for o in options() if names is None or o.name in names]
        command.__signature__ = inspect.Signature([*own, *made])  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in [*own, *made]}
        return command

    return decorate


def whole_number(flag: str, help: str) -> Any:
    """An option that isn't RunConfig's. A wrong value is named, which typer's own words don't do."""
    return typer.Option(flag, help=help, metavar="N", parser=lambda text: _parsed(int, text, "a whole number"))


def number(flag: str, help: str) -> Any:
    return typer.Option(flag, help=help, metavar="X", parser=lambda text: _parsed(float, text, "a number"))


def some_path(text: str) -> Path:
    """For arguments: a path that is given. "" is an unset variable, where Path would take it for the current folder."""
    if not text:
        raise typer.BadParameter("it is empty, and no path: is a variable of your script unset?")
    return Path(text)


def _parsed(kind: Callable[[str], Any], text: str, wanted: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not {wanted}") from None


def given(values: dict[str, Any]) -> dict[str, Any]:
    """The options that were given on the command line."""
    return {name: value for name, value in values.items() if value is not None and value != []}


def parameter(option: Option) -> inspect.Parameter:
    """A command's parameter for one option of RunConfig; its default is None: not given."""
    flags = [f"--{option.flag}/--no-{option.flag}"] if option.kind == "bool" else [f"--{option.flag}"]
    kind: Any = {"bool": bool | None, "list": list[str] | None}.get(option.kind, str | None)
    again = "; repeat it" if option.kind == "list" else ""
    about = f"{option.help}{again} [default: {default_in_words(option)}" + (f"; {option.bounds}]" if option.bounds else "]")
    metavar = None if option.kind == "bool" else "|".join(option.choices) or metavar_of(option)
    return inspect.Parameter(
        option.name, inspect.Parameter.KEYWORD_ONLY, default=None,
        annotation=Annotated[kind, typer.Option(*flags, help=about, metavar=metavar, rich_help_panel=option.group)],
    )


def metavar_of(option: Option) -> str:
    if option.name == "classes":
        return "NAME=TOKEN"
    return {"int": "N", "float": "X", "path": "PATH", "text": "TEXT"}[option.kind]


def default_in_words(option: Option) -> str:
    match option.default:
        case None:
            return "none"
        case bool():
            return "on" if option.default else "off"
        case tuple():
            return " ".join(option.default)
    return str(option.default)
