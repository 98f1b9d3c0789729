"""Class, person and level from a photo's name."""

import unicodedata

import pytest

from noodle_tui import names
from noodle_tui.config import DEFAULT_PERSON
from noodle_tui.errors import UsageError
from noodle_tui.names import are_classes, classes_in, level_in, person_in, person_pattern

TOKENS = {"sad": "_Sa_", "happy": "_Ha_"}
PERSON = person_pattern(DEFAULT_PERSON)


@pytest.mark.parametrize(("path", "person"), [
    ("34/34M_Ne_to_Sa_C08.JPG", "34M"), ("07F_Ne_to_Ha_C00.JPG", "07F"), ("F001_happy.jpg", "F001"),
    ("a/b_c/x_1.png", "x"), ("plain.jpg", None), ("dir_with/plain.jpg", None), ("_Sa_.jpg", None),
])
def test_the_person_is_the_names_part_before_the_first_underscore(path, person):
    assert person_in(path, PERSON) == person


@pytest.mark.parametrize(("people", "pattern", "are"), [
    (["happy", "sad", None], DEFAULT_PERSON, True), (["Sa"], DEFAULT_PERSON, True), (["happy", "anna"], DEFAULT_PERSON, False),
    ([None], DEFAULT_PERSON, False), (["happy", "sad"], "^(happy|sad)", False),
])
def test_of_happy_01_and_sad_01_nobody_is_known(people: list[str | None], pattern: str, are: bool) -> None:
    assert are_classes(people, [*TOKENS, *TOKENS.values()], person_pattern(pattern)) == are


def test_a_pattern_of_ones_own_sees_the_folders():
    assert person_in("anna/01.jpg", person_pattern(r"^([^/]+)/")) == "anna"
    assert person_in("anna/01.jpg", person_pattern("an")) == "an"
    assert person_in("anna/01.jpg", person_pattern("^(b?)")) is None  # finds nothing: nobody, and no person of that name


def test_an_expression_that_can_match_in_very_many_ways_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "PATIENCE", 0.1)
    with pytest.raises(UsageError, match=r"^--person .* takes too long to look for in a+b\.jpg"):
        person_in("a" * 60 + "b.jpg", person_pattern("^(a|aa)+$"))


def test_a_name_is_one_however_unicode_writes_it():
    """macOS stores letters and their accents apart (NFD), others mostly in one (NFC)."""
    together, apart = (unicodedata.normalize(form, "Zoë") for form in ("NFC", "NFD"))
    assert together != apart
    assert person_in(f"{apart}_Ha_1.jpg", PERSON) == person_in(f"{together}_Ha_2.jpg", PERSON) == together
    assert person_in(f"{apart}_1.jpg", person_pattern(f"^({apart})_")) == together
    assert classes_in(f"{apart}/1.jpg", {"x": f"{together}/"}) == classes_in(f"{together}/1.jpg", {"x": f"{apart}/"}) == ["x"]


@pytest.mark.parametrize(("name", "labels"), [
    ("34M_Ne_to_Sa_C08.JPG", ["sad"]), ("34M_Ne_to_Ha_C08.JPG", ["happy"]), ("34M_Ne.JPG", []),
    ("34M_Sa_Ha_.JPG", ["sad", "happy"]), ("_Sa_/34M.JPG", []),
])
def test_classes_in_a_name(name, labels):
    assert classes_in(name, TOKENS) == labels


@pytest.mark.parametrize(("path", "labels"), [
    ("Happy/01.jpg", ["happy"]), ("anna/Happy/01.jpg", ["happy"]), ("Happy/anna/01.jpg", ["happy"]), ("UnHappy/01.jpg", []),
    ("Happy.jpg", []), ("Happy/01_Sa_.jpg", ["happy", "sad"]),
])
def test_a_token_with_a_slash_is_a_folders_name(path, labels):
    assert classes_in(path, {"happy": "Happy/", "sad": "_Sa_"}) == labels


@pytest.mark.parametrize(("name", "level"), [("34M_Ne_to_Sa_C08.JPG", 8), ("x_C19.jpg", 19), ("x_C19_y.jpg", None),
                                            ("x.jpg", None)])
def test_level(name, level):
    assert level_in(name) == level
