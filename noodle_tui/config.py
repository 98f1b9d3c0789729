"""Every option of a run, once. The command line's flags, the app's form and the README's table are made from `RunConfig`.

Adding an option is one line here: its name, type, default, bounds, help and group, and whether a run that is picked up takes it
anew.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from noodle_tui.errors import UsageError
from noodle_tui.names import DEFAULT_PERSON, person_pattern

DATA, TRAINING, LOGGING = "Data", "Training", "Logging"

# What a run that is picked up does with another value than the one it was started with.
Anew = Literal["refused", "taken", "told", "of one start"]
REFUSED: Anew = "refused"  # it decides what is learnt from which photos: with another value it would be another run
TAKEN: Anew = "taken"  # what computes, and how, decides what is learnt, too: that is asked of the device (Session.terms)
TOLD: Anew = "told"  # taken, and the report tells, since it decides what is learnt
OF_ONE_START: Anew = "of one start"  # and not of the run: nothing is compared

NAMED_WEIGHTS = ("imagenet", "none")  # any other `weights` are a file
LAST_CARD = 127  # torch counts GPUs in a signed byte
SORTING = ("classes", "val_fraction", "split_by", "mode")  # options of rejig alone, which its record keeps


def option(default: Any, group: str, anew: Anew, help: str, flag: str | None = None, **bounds: Any) -> Any:
    """One line of `RunConfig`. `flag` is the command line's name where it isn't the field's own; bounds are pydantic's."""
    return Field(default, description=help, json_schema_extra={"group": group, "anew": anew, "flag": flag}, **bounds)


class RunConfig(BaseModel):
    """What a run is asked to do. Immutable; paths are kept as typed (relative to the working folder)."""

    # built when the first one is checked, after the app's first paint
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    stimuli: Path = option(Path("Resources/stimuli"), DATA, TAKEN, "folder of face photos, at any depth, to be sorted by rejig")
    data_dir: Path = option(Path("Resources/classify"), DATA, TAKEN, "folder with train/<class>/ and val/<class>/")
    rejig_data: bool = option(False, DATA, TAKEN, "first sort the stimuli into the data folder; harmless when already done")
    classes: tuple[str, ...] = option(
        ("sad=_Sa_", "happy=_Ha_"), DATA, REFUSED,
        "a class and the token in its files' names, or their folder (happy=Happy/)", flag="class"
    )
    val_fraction: float = option(0.1, DATA, REFUSED, "share of the images held out for validation", gt=0, lt=1)
    split_by: Literal["file", "person"] = option(
        "file", DATA, REFUSED, "hold out single files, or whole people (what a claim about new faces needs)"
    )
    person: str = option(
        DEFAULT_PERSON, DATA, REFUSED,
        "regex of a photo's path; its first group is the person: ([^/-]+)- finds F001 in F001-happy.jpg"
    )
    mode: Literal["move", "copy", "link"] = option("move", DATA, TAKEN, "what rejig does with the photos")
    skip_bad_images: bool = option(False, DATA, TAKEN, "go on without images that can't be read, and say so in the report")

    load_dir: Path | None = option(None, TRAINING, OF_ONE_START,
                                   "run folder to pick up, or model.pth (or its folder) to start from")
    save_dir: Path = option(Path("weights"), TRAINING, OF_ONE_START, "folder that run folders are made in")
    n_epochs: int = option(40, TRAINING, TAKEN, "epochs to run", ge=1, le=1_000_000)
    batch_size: int = option(24, TRAINING, REFUSED, "images a step", ge=1, le=65_536)
    lr: float = option(0.001, TRAINING, TOLD, "SGD's learning rate", gt=0, le=100)
    momentum: float = option(0.9, TRAINING, TOLD, "SGD's momentum", ge=0, lt=1)
    seed: int = option(42, TRAINING, REFUSED, "decides what is random: split, batch order, augmentation, a new layer's weights",
                       ge=0, le=2**32 - 1)
    weights: str = option("imagenet", TRAINING, REFUSED, "imagenet, none, or a ResNet18 state-dict file")
    input_size: int = option(224, TRAINING, REFUSED, "pixels a side that the network sees", ge=32, le=1024)
    device: str = option("auto", TRAINING, TAKEN, "auto, cuda, cuda:N, mps or cpu")
    precision: Literal["auto", "fp32", "bf16"] = option(
        "auto", TRAINING, TAKEN, "auto: bf16 where the hardware has it; fp32 for exactness"
    )
    sync_bn: bool = option(False, TRAINING, TOLD,
                           "batch norm over the whole batch, not a GPU's part of it (under torchrun on GPUs)")
    compile: bool = option(False, TRAINING, TOLD, "compile the training step: a wait of minutes, then quicker steps")
    test_every: int = option(1, TRAINING, TAKEN, "validate every _ epochs; the first and the last always are", ge=1)
    save_every: int = option(5, TRAINING, TAKEN, "save the session every _ epochs; the last always is", ge=1)

    namestr: str = option("neuro_ml", LOGGING, REFUSED, "name of run folder and Comet experiment")
    log_every: int = option(1, LOGGING, TAKEN, "log every _ epochs; the first and the last always are", ge=1)
    comet: bool = option(False, LOGGING, TAKEN, "log to Comet, with the keys in settings.json or COMET_API_KEY; not with debug")
    comet_weights: bool = option(True, LOGGING, TAKEN, "with comet, also upload the trained weights")
    tensorboard: bool = option(False, LOGGING, TAKEN, "also write TensorBoard files into the run folder")
    debug: bool = option(False, LOGGING, OF_ONE_START, "on an error open the interactive debugger")

    @property
    def logs_to_comet(self) -> bool:
        """--comet, but for --debug."""
        return self.comet and not self.debug

    @field_validator("stimuli", "data_dir", "load_dir", "save_dir", "weights", mode="before")
    @classmethod
    def _check_path(cls, path: Any) -> Any:
        if path == "":  # which is the current folder to Path, and rejig moves photos
            raise ValueError("is empty, and no path: is a variable of your script unset?")
        if "\0" in str(path):
            raise ValueError(f"{shown(str(path))}: no path holds a NUL character")
        return path

    @field_validator("classes", mode="after")
    @classmethod
    def _check_classes(cls, pairs: tuple[str, ...]) -> tuple[str, ...]:
        class_tokens(pairs)
        return pairs

    @field_validator("person")
    @classmethod
    def _check_person(cls, pattern: str) -> str:
        try:
            person_pattern(pattern)
        except ValueError as error:
            raise ValueError(f"{shown(pattern)} {error}") from None
        return pattern

    @field_validator("device")
    @classmethod
    def _check_device(cls, device: str) -> str:
        if not re.fullmatch(r"auto|cuda(:\d+)?|mps|cpu", device, re.ASCII):
            raise ValueError(f"{shown(device)} is none of auto, cuda, cuda:N, mps, cpu")
        if int(device.partition(":")[2] or 0) > LAST_CARD:
            raise ValueError(f"{shown(device)}: no machine has so many GPUs")
        return device

    @field_validator("namestr")
    @classmethod
    def _check_namestr(cls, name: str) -> str:
        if not re.fullmatch(r"[^/\\\x00-\x1f]{1,100}", name) or name.startswith("."):
            raise ValueError("use 1 to 100 characters, no slash, not starting with a dot: it names a folder")
        return name


def shown(value: Any) -> str:
    """A value as an error repeats it: in quotes if it is a text, and never long."""
    return _short(repr(value))


def _short(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:80]}… ({len(text)} characters)"


def class_tokens(pairs: tuple[str, ...]) -> dict[str, str]:
    """{"sad": "_Sa_", "happy": "_Ha_"} from ("sad=_Sa_", "happy=_Ha_"). ValueError says what is wrong with a pair."""
    tokens: dict[str, str] = {}
    for pair in pairs:
        name, equals, token = pair.partition("=")
        if not equals or not token.strip("/"):
            raise ValueError(f"{shown(pair)} is not NAME=TOKEN, e.g. happy=_Ha_")
        if not re.fullmatch(r"[^/\\\x00-\x1f.=][^/\\\x00-\x1f=]{0,99}", name):
            raise ValueError(f"a folder is named after the class: {shown(name)} can't be its name")
        if name in tokens:
            raise ValueError(f"the class {name!r} is given twice")
        if token in tokens.values():
            raise ValueError(f"the token {shown(token)} is given to two classes")
        tokens[name] = token
    if len(tokens) < 2:
        raise ValueError("at least two classes are needed, e.g. --class sad=_Sa_ --class happy=_Ha_")
    return tokens


@dataclass(frozen=True)
class Option:
    """One option as the command line, the form and the README's table need it."""

    name: str  # the field in RunConfig
    flag: str  # without dashes in front, e.g. "n-epochs"
    kind: Literal["bool", "int", "float", "choice", "path", "text", "list"]
    default: Any
    group: str
    anew: Anew
    help: str
    choices: tuple[str, ...] = ()
    bounds: str = ""  # in words, e.g. "at least 1, at most 65536"


def options() -> list[Option]:
    """All options, in the order in which RunConfig lists them."""
    return [_option(name, field) for name, field in RunConfig.model_fields.items()]


def _option(name: str, field: Any) -> Option:
    extra = field.json_schema_extra
    kind, choices = _kind(field.annotation)
    return Option(
        name=name,
        flag=extra["flag"] or name.replace("_", "-"),
        kind=kind,
        default=field.default,
        group=extra["group"],
        anew=extra["anew"],
        help=field.description,
        choices=choices,
        bounds=_bounds_in_words(field.metadata),
    )


def _kind(annotation: Any) -> tuple[Any, tuple[str, ...]]:
    if isinstance(annotation, UnionType):  # Path | None
        annotation = next(part for part in get_args(annotation) if part is not NoneType)
    if get_origin(annotation) is Literal:
        return "choice", get_args(annotation)
    if get_origin(annotation) is tuple:
        return "list", ()
    return {bool: "bool", int: "int", float: "float", str: "text", Path: "path"}[annotation], ()


def _bounds_in_words(metadata: list[Any]) -> str:
    words = {"ge": "at least {}", "gt": "more than {}", "le": "at most {}", "lt": "less than {}"}
    found = [(key, getattr(bound, key)) for bound in metadata for key in words if hasattr(bound, key)]
    return ", ".join(words[key].format(value) for key, value in found)


def make_config(values: dict[str, Any]) -> RunConfig:
    """RunConfig from raw values (strings allowed). UsageError names the first bad option, its value and what it takes."""
    try:
        return RunConfig(**values)
    except ValidationError as error:
        raise UsageError(next(iter(config_errors(error).values()))) from None


def config_errors(error: ValidationError) -> dict[str, str]:
    """{field: one sentence} from pydantic's error, for the command line (the first) and the form (each at its field)."""
    known = {o.name: o for o in options()}
    sentences: dict[str, str] = {}
    for problem in error.errors():
        name = str(problem["loc"][0]) if problem["loc"] else ""
        if name in known and name not in sentences:
            sentences[name] = f"--{known[name].flag}: {_in_words(known[name], problem)}"
        elif name not in known:
            sentences[name] = f"there is no option {shown(name)}"
    return sentences


def _in_words(option: Option, problem: Any) -> str:
    value = problem["input"]
    match problem["type"]:
        case "value_error":
            return str(problem["ctx"]["error"])
        case "literal_error":
            return f"{shown(value)} is none of {', '.join(option.choices)}"
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal" | "finite_number":
            return f"{_short(str(value))} is out of bounds: {option.bounds}"
        case kind if kind.startswith(("int", "float", "bool")):
            wanted = {"int": "a whole number", "float": "a number", "bool": "yes or no"}[option.kind]
            return f"{shown(value)} is not {wanted}" + (f" ({option.bounds})" if option.bounds else "")
    return f"{shown(value)} can't be used: {problem['msg']}"
