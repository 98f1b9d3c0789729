"""Pillow's readers on files of anybody: no other program runs, and nothing is printed."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, UnidentifiedImageError

from noodle_tui.images import image_formats, open_image

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"


def test_a_photo_is_opened_whatever_its_ending(tmp_path: Path):
    Image.new("RGB", (4, 3)).save(tmp_path / "x.png", "JPEG")
    with open_image(tmp_path / "x.png") as image:
        assert (image.format, image.size) == ("JPEG", (4, 3))


def test_postscript_called_jpg_is_no_image(tmp_path: Path):
    file = tmp_path / "x.jpg"
    file.write_bytes(EPS)
    assert Image.open(file).format == "EPS"  # Pillow alone would give it to Ghostscript
    with pytest.raises(UnidentifiedImageError):
        open_image(file)
    assert "EPS" not in image_formats() and {"JPEG", "PNG", "TIFF"} <= set(image_formats())


def test_a_broken_tiff_prints_nothing(tmp_path: Path):
    file = tmp_path / "x.tif"
    Image.effect_noise((64, 64), 90).convert("RGB").save(file, compression="jpeg")
    content = bytearray(file.read_bytes())
    tables = content.index(b"\xff\xdb")  # the marker of the quantization tables becomes one of nothing
    content[tables + 1] = 0xE7
    file.write_bytes(bytes(content))
    code = f"from noodle_tui.images import open_image; open_image({str(file)!r}).load()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "JPEGLib" not in done.stderr and "OSError" in done.stderr


def test_what_pillow_logs_of_an_odd_file_goes_nowhere():
    code = "from noodle_tui.images import image_formats; image_formats()\n" \
           "import logging; logging.getLogger('PIL.TiffImagePlugin').warning('odd')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
