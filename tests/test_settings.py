"""settings.json and the environment: each kind of bad file is one clear line, and no key is ever shown."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from noodle_tui.errors import NoodleError
from noodle_tui.settings import Settings, load_settings, masked

KEY = "Qk7ZsecretApiKeyThatIsNoOnes1234"
GOOD = {"username": "lab", "apikey": KEY, "restapikey": "rest" + KEY, "project": "faces"}


def written(tmp_path: Path, content: Any, mode: int = 0o600) -> Path:
    file = tmp_path / "settings.json"
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    file.chmod(mode)
    return file


def refused(file: Path, environ: dict[str, str] | None = None) -> str:
    """The one line with which the file is refused."""
    with pytest.raises(NoodleError) as caught:
        load_settings(file, environ or {})
    line = str(caught.value)
    assert "\n" not in line
    assert KEY not in line
    return line


def test_a_good_file(tmp_path: Path):
    settings = load_settings(written(tmp_path, GOOD), {})
    assert (settings.username, settings.project, settings.warnings) == ("lab", "faces", ())
    assert settings.apikey
    assert settings.apikey.get_secret_value() == KEY
    assert settings.restapikey
    assert settings.restapikey.get_secret_value() == "rest" + KEY


def test_no_file_and_no_variable_is_no_key(tmp_path: Path):
    assert load_settings(tmp_path / "settings.json", {}) == Settings()


def test_variables_win_and_are_enough(tmp_path: Path):
    environ = {"COMET_API_KEY": "from-the-environment", "COMET_WORKSPACE": "w", "COMET_PROJECT_NAME": "p"}
    for file in (tmp_path / "none.json", written(tmp_path, GOOD), written(tmp_path, {"apikey": "your-comet-api-key"})):
        settings = load_settings(file, environ)
        assert settings.apikey
        assert settings.apikey.get_secret_value() == "from-the-environment"
        assert (settings.username, settings.project) == ("w", "p")
    assert load_settings(written(tmp_path, GOOD), {"COMET_API_KEY": " "}).username == "lab"  # an empty one doesn't


def test_keys_never_print(tmp_path: Path):
    settings = load_settings(written(tmp_path, GOOD), {})
    for text in (repr(settings), str(settings), settings.model_dump_json(), repr(settings.model_dump()), f"{settings.apikey}"):
        assert KEY not in text


def test_masked_shows_too_little_to_rebuild_a_key():
    assert masked(SecretStr(KEY)) == "…(32 characters)"
    assert masked(SecretStr("short")) == "…(5 characters)"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_warns(tmp_path: Path, mode: int):
    file = written(tmp_path, GOOD, mode)
    assert load_settings(file, {}).warnings == (f"{file} holds your keys and others can read it: run chmod 600 {file}",)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is not JSON (Expecting value, line 1)"),
        (b'{"apikey": "' + KEY.encode(), "is not JSON"),
        (b'{"apikey": "x"\n "username": "y"}', "line 2"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[" * 30_000, "is not JSON"),
        (b"1" * 10_000, "is not JSON"),
        ([GOOD], "is not a JSON object"),
        ({**GOOD, "key": "x"}, "unknown field 'key': it takes username, apikey, restapikey, project"),
        ({**GOOD, "apikey": 12345}, "apikey must be text in quotes, not int"),
        ({**GOOD, "username": [KEY]}, "username must be text in quotes, not list"),
        ({"username": "lab", "apikey": ""}, "holds no apikey"),
        ({"username": "lab", "apikey": None}, "holds no apikey"),
        ({}, "holds no apikey"),
        ({**GOOD, "apikey": "your-comet-api-key"}, "apikey still is the example's placeholder"),
        ({**GOOD, "restapikey": "your-comet-api-key"}, "restapikey still is the example's placeholder"),
        ({**GOOD, "username": "your-comet-workspace"}, "username still is the example's placeholder"),
        ({**GOOD, "apikey": KEY + "\r\nX-Header: 1"}, "apikey has line breaks"),
        ({**GOOD, "apikey": KEY + " " + KEY}, "apikey has spaces"),
        ({**GOOD, "project": "x" * 1001}, "more than 1000 characters"),
        (b" " * 100_000, "has 100000 bytes"),
    ],
)
def test_a_bad_file_is_one_clear_line(tmp_path: Path, content: Any, says: str):
    line = refused(written(tmp_path, content))
    assert says in line
    assert "settings.json" in line


def test_a_key_in_the_place_of_a_name_is_not_shown_whole(tmp_path: Path):
    assert "unknown field" in refused(written(tmp_path, {KEY: "apikey"}))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_an_editor_may_mark_the_file_as_utf_8(tmp_path: Path, encoding: str):
    assert load_settings(written(tmp_path, json.dumps(GOOD).encode(encoding)), {}).username == "lab"


def test_a_bad_variable_is_named(tmp_path: Path):
    line = refused(tmp_path / "none.json", {"COMET_API_KEY": KEY + "\u2028x"})
    assert line.startswith("COMET_API_KEY has line breaks")


def test_what_is_no_readable_file_is_said(tmp_path: Path):
    folder = tmp_path / "settings.json"
    folder.mkdir()
    assert "is not a file" in refused(folder)
    fifo = tmp_path / "fifo.json"
    os.mkfifo(fifo)
    assert "is not a file" in refused(fifo)  # and doesn't wait for somebody to write
    dangling = tmp_path / "link.json"
    dangling.symlink_to(tmp_path / "gone")
    assert "can't be read (No such file or directory)" in refused(dangling)


def test_the_example_is_refused_as_it_is_and_works_when_filled():
    example = Path(__file__).parents[1] / "settings.example.json"
    assert "placeholder" in refused(example)
    assert load_settings(example, {"COMET_API_KEY": KEY, "COMET_WORKSPACE": "lab"}).project == "neuro_ml"
