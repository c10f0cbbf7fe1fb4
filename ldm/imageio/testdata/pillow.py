"""Writes pillow.json: Pillow's resizing of pseudorandom pictures, as hashes.

The input of a case is its w*h*channels bytes from the generator below, seeded with its number;
transparency is made rare and low, where rounding shows. Made with Pillow 13.0.0.
"""

import hashlib
import json
import random

from PIL import Image

FILTERS = ["nearest", "box", "bilinear", "bicubic", "lanczos"]
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def pixels(seed, count, channels):
    state, out = seed, bytearray()
    for i in range(count):
        state = (state * 1664525 + 1013904223) % 2**32
        v = state >> 24
        if channels == 4 and i % 4 == 3:
            v = v // 8 if v % 2 else 255
        out.append(v)
    return bytes(out)


random.seed(1)
cases = []
for number in range(240):
    channels = random.choice(list(MODES))
    name = FILTERS[number % len(FILTERS)]
    w, h, width, height = (random.randint(1, 60) for _ in range(4))
    if number % 9 == 0:
        width = w
    if number % 11 == 0:
        height = h
    image = Image.frombytes(MODES[channels], (w, h), pixels(number, w * h * channels, channels))
    out = image.resize((width, height), Image.Resampling[name.upper()]).tobytes()
    cases.append([channels, name, w, h, width, height, hashlib.sha256(out).hexdigest()[:16]])
with open("pillow.json", "w") as file:
    file.write("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
