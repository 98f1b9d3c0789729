"""Draws the face of a person who doesn't exist: `draw(person, face, look)`.

Three things decide a picture: `Person` (the same on all of a person's pictures), `Expression` (what feelings move) and
`Look` (this picture's pose and light). Nothing here is random but the places of curls and freckles, which a person's own
seed decides. All sizes and places are in canvas.py's head coordinates.
"""

import random
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from noodle_tui.demo.canvas import Canvas, Colour, Look, Points, band, mix, oval, smooth

WHITE, INK, SHADE = (250, 248, 244), (44, 32, 34), (96, 40, 44)
ROSE, FLUSH, TEAR = (226, 96, 92), (240, 84, 96), (150, 205, 240)


@dataclass(frozen=True)
class HairStyle:
    """`hairline` is its height on the forehead at seven places from the left ear to the right."""

    hairline: tuple[float, float, float, float, float, float, float]
    puff: float  # how far it stands off the skull
    length: float | None = None  # where long hair ends
    spread: float = 1.1  # half the width of long hair
    curls: bool = False
    bun: bool = False


@dataclass(frozen=True)
class Person:
    """What stays the same on every picture of one person. Sizes and places are in head coordinates."""

    name: str  # e.g. 34M
    skin: Colour
    hair: Colour
    style: HairStyle
    iris: Colour
    clothes: Colour
    face_width: float
    jaw: float  # the jaw's share of the face's width
    chin: float
    eye_x: float
    eye_size: float
    brow_y: float
    brow_thick: float
    nose_length: float
    nose_width: float
    mouth_y: float
    mouth_width: float
    lips: float  # how full they are
    rest: float  # how the mouth's corners lie at rest: some look friendly when neutral
    vigour: float  # how strongly they show what they feel
    lashes: bool
    glasses: bool
    freckles: bool
    beard: str  # "", "stubble", "moustache" or "full"
    spots: int  # seeds the places of curls and freckles


@dataclass(frozen=True)
class Expression:
    """How far the face's movable parts are from neutral. Up, open, raised are positive."""

    corners: float = 0.0  # of the mouth
    widen: float = 0.0  # the mouth
    part: float = 0.0  # the lips
    pout: float = 0.0
    cheeks: float = 0.0  # raised
    flush: float = 0.0  # rosy or, below zero, pale
    tears: float = 0.0
    brow_inner: float = 0.0
    brow_outer: float = 0.0
    upper_lid: float = 0.0
    lower_lid: float = 0.0
    droop: float = 0.0  # of the lids' outer ends
    gaze: float = 0.0


def draw(person: Person, face: Expression, look: Look) -> Image.Image:
    """One picture, RGB, 253 x 325 pixels, drawn from back to front."""
    canvas = Canvas(look)
    person = replace(person, skin=flushed(person.skin, face.flush))
    head = head_outline(person)
    draw_behind(canvas, person)
    canvas.fill(head, person.skin)
    draw_skin(canvas, person, face, head)
    draw_beard(canvas, person, head)
    draw_nose(canvas, person)
    draw_mouth(canvas, person, face)
    for side in (-1, 1):
        draw_eye(canvas, person, face, side)
        draw_brow(canvas, person, face, side)
    draw_hair(canvas, person)
    if person.glasses:
        draw_glasses(canvas, person)
    return canvas.finish()


def flushed(skin: Colour, flush: float) -> Colour:
    """Skin that turns rosy (flush above 0) or pale, equally bright."""
    grey = sum(skin) / 3
    red, green, blue = (1.35, 0.9, 0.75) if flush > 0 else (0.85, 1.0, 1.15)
    return mix(skin, (round(grey * red), round(grey * green), round(grey * blue)), 0.4 * min(1.0, abs(flush)))


def head_outline(person: Person, grow: float = 0.0) -> Points:
    """The head's outline, clockwise from the top; `grow` makes it larger all around."""
    w, jaw, chin = person.face_width, person.jaw * person.face_width, person.chin
    right = [(0.0, -1.32), (0.52 * w, -1.2), (0.88 * w, -0.8), (w, -0.15), (0.94 * w, 0.4), (jaw, 0.88),
             (0.38 * w, chin - 0.07), (0.0, chin)]
    whole = [*right, *((-x, y) for x, y in reversed(right[1:-1]))]
    return smooth([(x * (1 + grow), y * (1 + grow)) for x, y in whole])


def draw_behind(canvas: Canvas, person: Person) -> None:
    """All that the head hides in part: long hair, neck, clothes, ears."""
    style, dark = person.style, mix(person.hair, (0, 0, 0), 0.28)
    if style.bun:
        canvas.fill(oval(0.0, -1.5, 0.4, 0.34), mix(person.hair, (0, 0, 0), 0.12))
    if style.length is not None:
        w, end = style.spread, style.length
        right = [(0.0, -1.4), (0.75, -1.2), (w, -0.4), (w * 1.02, end - 0.5), (w * 0.85, end), (0.3, end + 0.05)]
        canvas.fill(smooth([*right, *((-x, y) for x, y in reversed(right[1:]))]), dark)
    if style.curls and style.length is not None:
        for x, y, r in curl_places(person, down=True):
            canvas.fill(oval(x, y, r, r, 16), dark)
    shadow = mix(person.skin, SHADE, 0.3)
    canvas.fill(smooth([(-0.44, 0.6), (0.44, 0.6), (0.46, 1.5), (0.7, 1.9), (-0.7, 1.9), (-0.46, 1.5)]), shadow)
    shoulders = [(-0.5, 1.5), (-1.2, 1.72), (-1.7, 2.3), (-1.7, 3.2), (1.7, 3.2), (1.7, 2.3), (1.2, 1.72), (0.5, 1.5),
                 (0.3, 1.68), (0.0, 1.74), (-0.3, 1.68)]
    canvas.fill(smooth(shoulders), person.clothes)
    collar = smooth([(-0.5, 1.5), (-0.3, 1.68), (0.0, 1.74), (0.3, 1.68), (0.5, 1.5)], closed=False)
    canvas.stroke(collar, mix(person.clothes, INK, 0.25), 0.06)
    for side in (-1, 1):
        x = side * person.face_width
        canvas.fill(oval(x, 0.02, 0.16, 0.27), mix(person.skin, SHADE, 0.12))
        canvas.fill(oval(x * 1.03, 0.03, 0.08, 0.16), mix(person.skin, SHADE, 0.28))


def draw_skin(canvas: Canvas, person: Person, face: Expression, head: Points) -> None:
    """Light and shade on the head, flushed cheeks, freckles."""
    side = -1 if canvas.look.light[0] > 0 else 1  # the shadow is opposite the light
    rim = oval(side * 1.15, 0.3, 0.4, 1.1)
    canvas.glow(rim, mix(person.skin, SHADE, 0.55), 0.5, 0.16, inside=head)
    canvas.glow(oval(-side * 0.25, -0.55, 0.45, 0.3), WHITE, 0.18, 0.2)
    for x in (-0.56, 0.56):
        canvas.glow(oval(x, 0.36 - 0.06 * face.flush, 0.25, 0.18), FLUSH, max(0.0, 0.1 + 0.4 * face.flush), 0.07)
    if person.freckles:
        rng = random.Random(person.spots)
        for _ in range(34):
            x, y = rng.gauss(0, 0.42), rng.gauss(0.26, 0.11)
            if abs(x) < 0.8:
                canvas.fill(oval(x, y, 0.016, 0.016, 8), mix(person.skin, (150, 80, 40), 0.45))


def draw_nose(canvas: Canvas, person: Person) -> None:
    """A shadow along its side, its tip and wings."""
    tip, w = person.nose_length, person.nose_width
    dark = mix(person.skin, SHADE, 0.42)
    side = -1 if canvas.look.light[0] > 0 else 1
    canvas.glow(oval(side * 0.07, tip - 0.16, 0.07, 0.24), dark, 0.5, 0.05)
    canvas.glow(oval(-side * 0.02, tip - 0.04, 0.06, 0.06), WHITE, 0.3, 0.03)
    curve = [(-w, tip + 0.0), (-w * 0.8, tip + 0.075), (-w * 0.35, tip + 0.07), (0.0, tip + 0.11),
             (w * 0.35, tip + 0.07), (w * 0.8, tip + 0.075), (w, tip + 0.0)]
    canvas.stroke(smooth(curve, closed=False), dark, 0.035)


def draw_beard(canvas: Canvas, person: Person, head: Points) -> None:
    """Stubble, a moustache or a full beard; below the mouth's own layer."""
    y, w = person.mouth_y, person.mouth_width
    if person.beard in ("stubble", "full"):
        right = [(0.0, y - 0.2), (w * 1.0, y - 0.17), (0.72, y - 0.15), (person.face_width, 0.15),
                 (person.face_width * 1.02, 0.5), (0.8, 1.05), (0.4, person.chin + 0.04), (0.0, person.chin + 0.07)]
        outline = smooth([*right, *((-x, v) for x, v in reversed(right[1:-1]))])
        if person.beard == "full":
            canvas.fill(outline, mix(person.hair, person.skin, 0.12))
        else:
            canvas.glow(outline, mix(person.hair, person.skin, 0.3), 0.42, 0.06, inside=head)
    if person.beard in ("moustache", "full"):
        right = [(0.0, y - 0.22), (w * 0.6, y - 0.2), (w * 1.1, y - 0.02), (w * 0.7, y - 0.06), (0.0, y - 0.09)]
        canvas.fill(smooth([*right, *((-x, v) for x, v in reversed(right[1:-1]))]), person.hair)


def draw_mouth(canvas: Canvas, person: Person, face: Expression) -> None:
    """Lips along a curve that bends up or down; parted, they show teeth and tongue."""
    w = person.mouth_width * (1 + face.widen)
    t = np.linspace(-1, 1, 25)  # along the mouth
    x, arch = t * w, 1 - t**2  # `arch` is 1 in the middle, 0 at the corners
    lift = 0.25 * (face.corners + person.rest)
    upper = person.mouth_y + lift * (0.55 - t**2)
    lower = upper + 0.25 * face.part * arch
    lip = mix(mix(person.skin, ROSE, 0.45), SHADE, 0.22)
    full = person.lips
    cupid = upper - 0.075 * full * (arch**0.8 - 0.3 * np.exp(-((t / 0.16) ** 2)))
    bottom = lower + (0.095 + 0.05 * face.pout) * full * arch**0.7
    canvas.glow(oval(0, person.mouth_y + 0.3, w * 0.55, 0.05), mix(person.skin, SHADE, 0.5), 0.55, 0.04)
    canvas.fill(band(x, cupid, upper), mix(lip, SHADE, 0.18))
    canvas.fill(band(x, lower, bottom), lip)
    if face.part > 0.03:
        canvas.fill(band(x, upper, lower), (92, 30, 38))
        tongue = np.maximum(upper, lower - 0.1 * face.part * np.maximum(0, 1 - (t / 0.6) ** 2))
        canvas.fill(band(x, tongue, lower), (206, 96, 100))
        canvas.fill(band(x * 0.96, upper, np.minimum(lower, upper + 0.11 * np.minimum(1, 2 * arch))), WHITE)
    else:
        canvas.stroke(np.stack([x, upper], 1), mix(lip, INK, 0.6), 0.028)
    for side in (-1, 1):
        corner = (side * w, float(upper[0]))
        dent = [(corner[0], corner[1] - 0.03), (corner[0] + side * 0.025, corner[1]), (corner[0], corner[1] + 0.04)]
        canvas.stroke(smooth(dent, closed=False), mix(person.skin, SHADE, 0.45), 0.022)
        if face.corners > 0:  # the fold that a smile pushes up beside the mouth
            fold = [(side * 0.27, 0.36), (side * (w + 0.1), 0.52), (side * (w + 0.13), 0.7)]
            canvas.stroke(smooth(fold, closed=False), mix(person.skin, SHADE, 0.24 * min(1, face.corners)), 0.022)


def draw_eye(canvas: Canvas, person: Person, face: Expression, side: int) -> None:
    """White, iris and pupil between two lids."""
    cx, cy, w = side * person.eye_x, -0.1, 0.21 * person.eye_size
    t = np.linspace(-1, 1, 21)
    x, arch = cx + t * w, 1 - t**2
    outer = t * side  # 1 at the eye's outer corner
    tilt = (0.05 * face.droop - 0.012) * outer
    top = cy + tilt - 0.145 * person.eye_size * (1 + face.upper_lid) * arch**0.75 + 0.035 * face.droop * np.maximum(outer, 0)
    low = np.maximum(cy + tilt + 0.105 * person.eye_size * (1 + face.lower_lid) * arch, top)
    canvas.glow(oval(cx, cy - 0.02, w * 1.2, 0.2), mix(person.skin, SHADE, 0.4), 0.28, 0.06)
    canvas.fill(band(x, top, low), WHITE)
    for radius, colour in ((0.128, mix(person.iris, INK, 0.35)), (0.108, person.iris), (0.056, (20, 16, 18))):
        disc = oval(cx, cy - 0.02 - 0.05 * face.gaze, radius, radius)
        disc[:, 1] = np.clip(disc[:, 1], np.interp(disc[:, 0], x, top), np.interp(disc[:, 0], x, low))
        canvas.fill(disc, colour)
    canvas.fill(oval(cx + 0.035, cy - 0.065 - 0.05 * face.gaze, 0.026, 0.026, 12), WHITE)
    canvas.stroke(np.stack([x, top], 1), INK, 0.046 if person.lashes else 0.034)
    canvas.stroke(np.stack([x, low], 1)[3:-3], mix(person.skin, SHADE, 0.5), 0.018)
    canvas.stroke(np.stack([x, top - 0.06], 1)[3:-3], mix(person.skin, SHADE, 0.36), 0.018)
    if person.lashes:
        end = 20 if side > 0 else 0
        for back, rise in ((0, 0.07), (side * 3, 0.09)):
            root = (float(x[end - back]), float(top[end - back]))
            canvas.stroke(np.array([root, (root[0] + side * 0.06, root[1] - rise)]), INK, 0.024)
    if face.tears > 0:
        mid, long = cx + side * 0.06, 0.4 * face.tears
        drop = [(mid, cy + 0.13), (mid + 0.07, cy + 0.13 + long), (mid, cy + 0.2 + 1.25 * long), (mid - 0.07, cy + 0.13 + long)]
        canvas.fill(smooth(drop), TEAR)
    if face.cheeks > 0.15:  # a smile's fold under the eye
        fold = [(cx - 0.15, cy + 0.19), (cx, cy + 0.235 - 0.03 * face.cheeks), (cx + 0.15, cy + 0.19)]
        canvas.stroke(smooth(fold, closed=False), mix(person.skin, SHADE, 0.28 * min(1, face.cheeks)), 0.02)


def draw_brow(canvas: Canvas, person: Person, face: Expression, side: int) -> None:
    """A tapered arc, thick at the nose."""
    y, thick = person.brow_y, person.brow_thick
    inner, outer = y + 0.03 - 0.2 * face.brow_inner, y + 0.05 - 0.2 * face.brow_outer
    middle = y - 0.045 - 0.1 * (face.brow_inner + face.brow_outer)
    near, mid, far = side * (person.eye_x - 0.21), side * (person.eye_x + 0.06), side * (person.eye_x + 0.27)
    shape = [(near, inner - thick), (mid, middle - thick), (far, outer), (mid, middle + thick * 0.7), (near, inner + thick)]
    canvas.fill(smooth(shape), mix(mix(person.hair, INK, 0.35), person.skin, 0.08))


def draw_hair(canvas: Canvas, person: Person) -> None:
    """What lies on the skull, down to the hairline."""
    style = person.style
    outer = head_outline(person, style.puff)
    outer[:, 1] += 0.04 * style.puff
    across = np.linspace(1.0, -1.0, 7) * person.face_width * (1 + 0.6 * style.puff)
    edge = style.hairline[::-1]
    top = outer[outer[:, 1] < max(edge[0], edge[-1])]
    left, right = top[top[:, 0] < 0], top[top[:, 0] >= 0]
    over = np.vstack([left[np.argsort(-left[:, 1])], right[np.argsort(right[:, 1])]])
    line = smooth(list(zip(across.tolist(), edge, strict=True)), closed=False)
    if style.curls:
        for x, y, r in curl_places(person):
            canvas.fill(oval(x, y, r, r, 18), mix(person.hair, (0, 0, 0), 0.1))
    canvas.fill(np.vstack([over, line]), person.hair)
    canvas.glow(oval(-0.3, -1.12, 0.34, 0.1), mix(person.hair, WHITE, 0.5), 0.4, 0.07, inside=np.vstack([over, line]))
    if style.curls:
        for x, y, r in curl_places(person)[::2]:
            ring = oval(x * 0.93, y * 0.95, r * 0.55, r * 0.55, 18)[:12]
            canvas.stroke(ring, mix(person.hair, WHITE, 0.14), 0.025)


def curl_places(person: Person, down: bool = False) -> list[tuple[float, float, float]]:
    """(x, y, radius) of curls around the skull, or `down` along long hair."""
    rng, style = random.Random(person.spots), person.style
    if down:
        heights = np.arange(-0.6, style.length or 0.0, 0.22)
        return [(side * (style.spread + rng.uniform(-0.06, 0.06)), float(y), rng.uniform(0.15, 0.22))
                for side in (-1, 1) for y in heights]
    angles = np.linspace(-0.1, np.pi + 0.1, 17)
    reach = 1 + style.puff
    return [(float(np.cos(a)) * person.face_width * reach * 0.97, -0.28 - float(np.sin(a)) * 1.06 * reach,
             rng.uniform(0.14, 0.21)) for a in angles]


def draw_glasses(canvas: Canvas, person: Person) -> None:
    """Round ones, with a bridge and arms."""
    frame, y = mix(person.clothes, INK, 0.75), -0.07
    for side in (-1, 1):
        ring = oval(side * person.eye_x, y, 0.3, 0.27, 40)
        canvas.stroke(np.vstack([ring, ring[:1]]), frame, 0.036)
        canvas.stroke(np.array([(side * (person.eye_x + 0.3), y - 0.05), (side * person.face_width, y - 0.1)]), frame, 0.036)
    inner = person.eye_x - 0.3
    canvas.stroke(smooth([(-inner, y - 0.02), (0.0, y - 0.07), (inner, y - 0.02)], closed=False), frame, 0.036)
