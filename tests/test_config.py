"""RunConfig: defaults of the seed, bounds, and errors in words."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

import noodle_tui
from noodle_tui.config import RunConfig, class_tokens, make_config, option, options
from noodle_tui.errors import UsageError

SEED = {"debug": False, "comet": False, "namestr": "neuro_ml", "data_dir": Path("Resources/classify"), "load_dir": None,
        "save_dir": Path("weights"), "batch_size": 24, "n_epochs": 40, "rejig_data": False}


def test_defaults_are_the_seeds():
    config = RunConfig()
    assert {name: getattr(config, name) for name in SEED} == SEED
    assert (config.lr, config.momentum, config.seed, config.input_size) == (0.001, 0.9, 42, 224)
    assert (config.test_every, config.save_every, config.log_every) == (1, 5, 1)
    assert class_tokens(config.classes) == {"sad": "_Sa_", "happy": "_Ha_"}


@pytest.mark.parametrize(("name", "value", "says"), [
    ("n_epochs", "0", "--n-epochs: 0 is out of bounds: at least 1"),
    ("n_epochs", "many", "--n-epochs: 'many' is not a whole number"),
    ("batch_size", "1.5", "--batch-size: '1.5' is not a whole number"),
    ("batch_size", "70000", "--batch-size: 70000 is out of bounds"),
    ("lr", "-1", "--lr: -1 is out of bounds: more than 0"),
    ("lr", "nan", "--lr: nan is out of bounds"),
    ("momentum", "1", "--momentum: 1 is out of bounds: at least 0, less than 1"),
    ("val_fraction", "0", "--val-fraction: 0 is out of bounds: more than 0, less than 1"),
    ("seed", "-1", "--seed: -1 is out of bounds"),
    ("input_size", "31", "--input-size: 31 is out of bounds"),
    ("split_by", "colour", "--split-by: 'colour' is none of file, person"),
    ("mode", "burn", "--mode: 'burn' is none of move, copy, link"),
    ("precision", "fp8", "--precision: 'fp8' is none of auto, fp32, bf16"),
    ("device", "tpu", "--device: 'tpu' is none of auto, cuda, cuda:N, mps, cpu"),
    ("device", "cuda:300", "--device: 'cuda:300': no machine has so many GPUs"),
    ("device", "cuda:\N{ARABIC-INDIC DIGIT THREE}", "is none of auto, cuda, cuda:N, mps, cpu"),
    ("device", "cuda:²", "is none of auto, cuda, cuda:N, mps, cpu"),
    ("person", "(", "--person: '(' is not a regular expression"),
    ("data_dir", "a\0b", "--data-dir: 'a\\x00b': no path holds a NUL character"),
    ("stimuli", "", "--stimuli: is empty, and no path: is a variable of your script unset?"),
    ("load_dir", "", "--load-dir: is empty, and no path: is a variable of your script unset?"),
    ("weights", "", "--weights: is empty, and no path: is a variable of your script unset?"),
    ("weights", "a\0b", "--weights: 'a\\x00b': no path holds a NUL character"),
    ("namestr", "a/b", "--namestr: use 1 to 100 characters, no slash"),
    ("classes", ["sad"], "--class: 'sad' is not NAME=TOKEN"),
    ("classes", ["a=/", "b=x"], "--class: 'a=/' is not NAME=TOKEN"),
    ("classes", [1, 2], "--class: 1 can't be used"),
    ("classes", ["sad=_Sa_"], "--class: at least two classes are needed"),
    ("classes", ["a=x", "a=y"], "--class: the class 'a' is given twice"),
    ("classes", ["a=x", "b=x"], "--class: the token 'x' is given to two classes"),
    ("classes", ["../a=x", "b=y"], "--class: a folder is named after the class: '../a' can't be its name"),
    ("n_epoch", "4", "there is no option 'n_epoch'"),
])
def test_each_bad_value_is_one_sentence_that_names_it(name, value, says):
    with pytest.raises(UsageError) as error:
        make_config({name: value})
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    assert error.value.exit_code == 2


def test_options_can_not_be_changed():
    """Threads share them."""
    with pytest.raises(ValidationError, match="frozen"):
        RunConfig().lr = 1.0


def test_an_unset_option_is_known_to_be_unset():
    """Picking a run up takes unset options from the stored run."""
    assert make_config({"n_epochs": "40"}).model_fields_set == {"n_epochs"}


def test_every_option_has_what_flag_form_and_table_need():
    for o in options():
        assert o.help and o.group in ("Data", "Training", "Logging"), o.name
        assert RunConfig.model_fields[o.name].default == o.default
    assert {o.name: o.flag for o in options()}["classes"] == "class"


def test_every_option_is_read_by_somebody():
    """A flag that does nothing is worse than none."""
    package = Path(noodle_tui.__file__).parent
    code = "".join(file.read_text() for file in package.rglob("*.py") if file.name != "config.py")
    assert [o.name for o in options() if not re.search(rf"\b(config|run|options|_config)\.{o.name}\b", code)] == []


def test_json_round_trip():
    config = make_config({"classes": ["a=x", "b=y"], "load_dir": "w/x", "lr": 0.01})
    assert RunConfig(**config.model_dump(mode="json")) == config


def test_a_giant_value_makes_no_giant_error():
    for values in ({"n_epochs": "9" * 5000}, {"device": "x" * 5000}, {"classes": ("x" * 5000,)}, {"person": "(" * 5000},
                   {"x" * 5000: 1}):
        with pytest.raises(UsageError) as caught:
            make_config(values)
        assert len(str(caught.value)) < 300


def test_a_pattern_of_doubtful_future_warns_nobody(recwarn):
    make_config({"person": "[[a]b"})
    assert not recwarn.list


def test_whether_a_run_that_is_picked_up_takes_an_option_anew_must_be_said():
    """It stands in the option's own line: a list elsewhere is forgotten."""
    with pytest.raises(TypeError, match="anew"):
        option(0.0, "Training", help="a new one")  # type: ignore[call-arg]
    assert {o.anew for o in options()} == {"refused", "taken", "told", "of one start"}
