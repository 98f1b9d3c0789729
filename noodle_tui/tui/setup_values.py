"""The options as the Setup form has them: what is given, over what stands in the fields otherwise."""

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from noodle_tui.config import RunConfig, config_errors, options
from noodle_tui.tui.widgets.option_field import as_text

if TYPE_CHECKING:  # see setup.py
    from noodle_tui.preflight.checks import Preflight


class Values:
    """Raw values, as typed. `check` says whether they are a run's options."""

    def __init__(self, given: dict[str, Any]):
        """Names that are no option are left out."""
        self.base: dict[str, Any] = {option.name: option.default for option in options()}
        self.given: dict[str, Any] = {name: value for name, value in given.items() if name in self.base}
        self._kept = dict(self.given)
        self.config: RunConfig | None = None  # None while there are problems
        self.rest: RunConfig | None = None  # the same without what has a problem, to be looked at meanwhile
        self.problems: dict[str, str] = {}  # {option: what is wrong with it}

    def put(self, name: str, value: Any) -> bool:
        """An option has this value now; with None, or the one that stands there anyway, it isn't given any more.

        False if it was so before.
        """
        before = as_text(self.given.get(name))
        if value is None or as_text(value) == as_text(self.base[name]):
            self.given.pop(name, None)
        else:
            self.given[name] = value
        return as_text(self.given.get(name)) != before

    def fill(self, values: dict[str, Any]) -> None:
        """Begin anew over the defaults, e.g. with a past run's options. Names that are no option are left out."""
        self.base = {option.name: option.default for option in options()}
        self.given = {name: value for name, value in values.items()
                      if name in self.base and as_text(value) != as_text(self.base[name])}

        self.keep()

    def keep(self) -> None:
        """They are a run's now, or came from one: they won't get lost."""
        self._kept = dict(self.given)

    @property
    def is_new(self) -> bool:
        """Whether something was typed since."""
        return self.given != self._kept

    def check(self) -> None:
        """See what RunConfig makes of them."""
        self.config, self.problems = _checked(self.given)
        good = {name: value for name, value in self.given.items() if name not in self.problems}
        self.rest = self.config or _checked(good)[0]

    @property
    def changed(self) -> list[str]:
        """The options that are given and another value than stands in their fields otherwise: 1e-3 is 0.001."""
        return [name for name in self.given if self.config is None or getattr(self.config, name) != self.base[name]]

    def rest_on(self, result: "Preflight") -> bool:
        """In fields that are left alone stand the picked-up run's options, else the defaults. True if the fields' base values
        changed."""
        picked_up = result.resumed_at is not None
        before, self.base = self.base, {
            option.name: getattr(result.config, option.name)
            if picked_up and option.name not in ("load_dir", *self.given) else option.default
            for option in options()
        }
        return self.base != before


def _checked(given: dict[str, Any]) -> tuple[RunConfig | None, dict[str, str]]:
    """The options, or what is wrong with which."""
    try:
        return RunConfig(**given), {}
    except ValidationError as error:
        return None, config_errors(error)
