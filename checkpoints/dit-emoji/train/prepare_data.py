"""Noto emoji of the npm package emoji-datasource-google as 64x64 RGB on white, with class labels.

    npm pack emoji-datasource-google@16.0.0 --ignore-scripts     # done by this script when the package is missing
    python prepare_data.py --work DIR

Writes DIR/emoji.npz: images uint8 [M,64,64,3] (all of them, for the autoencoder), labels int64 [M] (-1: in no class)
and DIR/labels.json: the class names in label order.
"""
import argparse
import json
import re
import subprocess
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

PACKAGE = "emoji-datasource-google@16.0.0"

# Class name -> (subcategories, pattern on the Unicode name or None for all, take skin tones).
# First match wins. Subcategories that look alike to a person are merged; mixed ones are narrowed by name.
CLASSES = {
    "smiling face": (["face-smiling", "face-affection", "face-tongue", "face-glasses", "face-hat"], None, False),
    "worried face": (["face-concerned", "face-unwell", "face-neutral-skeptical", "face-sleepy"], None, False),
    "cat face": (["cat-face"], None, False),
    "monkey face": (["monkey-face"], None, False),
    "heart": (["heart"], r"HEART", False),
    "open hand": (["hand-fingers-open"], None, True),
    "pointing hand": (["hand-single-finger"], None, True),
    "fist": (["hand-fingers-closed"], None, True),
    "person": (["person"], None, True),
    "worker": (["person-role"], None, True),
    "animal face": (["animal-mammal"], r"FACE", False),
    "flower": (["plant-flower"], None, False),
    "clock": (["time"], r"CLOCK", False),
    "moon": (["sky & weather"], r"MOON", False),
    "sun": (["sky & weather"], r"SUN WITH FACE|BLACK SUN|SUNNY|SUN$|^WHITE SUN|GLOWING STAR|STAR$", False),
    "cloud": (["sky & weather"], r"CLOUD|THUNDER", False),
    "medal": (["award-medal"], None, False),
    "ball": (["sport"], r"BALL$|BALL |BASEBALL|VOLLEYBALL", False),
    "book": (["book-paper"], r"BOOK", False),
    "arrow": (["arrow"], None, False),
    "zodiac sign": (["zodiac"], None, False),
    "media button": (["av-symbol"], None, False),
    "prohibition sign": (["warning"], r"NO |PROHIBIT|UNDERAGE|NON-|DO NOT", False),
    "keycap": (["keycap"], None, False),
    "letter sign": (["alphanum"], None, False),
    "circle": (["geometric"], r"CIRCLE", False),
    "square": (["geometric"], r"^(?!.*SMALL).*SQUARE", False),
    "flag": (["country-flag", "subdivision-flag"], None, False),
}


def fetch(work: Path) -> Path:
    root = work / "package"
    if not (root / "emoji.json").exists():
        subprocess.run(["npm", "pack", PACKAGE, "--ignore-scripts"], cwd=work, check=True)
        with tarfile.open(next(work.glob("emoji-datasource-google-*.tgz"))) as archive:
            archive.extractall(work, filter="data")
    return root


def class_of(emoji: dict, names: list[str]) -> int:
    title = emoji["name"] or emoji["short_name"].upper()
    for index, name in enumerate(names):
        subcategories, pattern, _ = CLASSES[name]
        if emoji["subcategory"] in subcategories and (pattern is None or re.search(pattern, title)):
            return index
    return -1


def on_white(path: Path) -> np.ndarray:
    rgba = Image.open(path).convert("RGBA")
    assert rgba.size == (64, 64), path
    return np.asarray(Image.alpha_composite(Image.new("RGBA", (64, 64), "white"), rgba).convert("RGB"))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=Path, required=True)
    work = parser.parse_args().work
    work.mkdir(parents=True, exist_ok=True)
    root = fetch(work)
    names = list(CLASSES)
    images, labels = [], []
    emojis = sorted(json.loads((root / "emoji.json").read_text()), key=lambda e: e["sort_order"])
    for emoji in emojis:
        label = class_of(emoji, names)
        tones = list((emoji.get("skin_variations") or {}).values())
        for variant, is_tone in [(emoji, False), *((tone, True) for tone in tones)]:
            path = root / "img/google/64" / variant["image"]
            if not path.exists():
                continue
            images.append(on_white(path))
            labels.append(label if not is_tone or (label >= 0 and CLASSES[names[label]][2]) else -1)
    labels = np.array(labels)
    for index, name in enumerate(names):
        print(f"{index:3d} {name:18s} {np.sum(labels == index)}")
    print(len(images), "images,", int(np.sum(labels >= 0)), "in", len(names), "classes")
    np.savez(work / "emoji.npz", images=np.stack(images), labels=labels)
    (work / "labels.json").write_text(json.dumps(names, indent=1))


if __name__ == "__main__":
    main()
