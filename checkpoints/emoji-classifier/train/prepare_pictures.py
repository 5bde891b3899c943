"""Pictures and labels for the emoji classifier.

    python prepare_pictures.py --work DIR [--vae DIR/vae]    # after ../../dit-emoji/train/prepare_data.py --work DIR

A picture that pixart-emoji was trained on, or that was held out of its training, has a label of its own with its names; every other
picture of a class of dit-emoji shares that class's label; the rest is "other". A label knows the class of dit-emoji that
its pictures belong to as its group.

Writes DIR/classifier.npz (images uint8 [M,64,64,3]; decoded: the same through the autoencoder, each with its own noise
on the latents; labels int64 [M]) and DIR/classifier_labels.json: [{"names": [...], "group": ...}] in label order.
"""
import argparse
import json
import re
import sys
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

SHIPPED = Path(__file__).resolve().parents[2]
sys.path += [str(SHIPPED / "dit-emoji" / "train"), str(SHIPPED / "pixart-emoji" / "train")]
from prepare_captions import CHOSEN, captions_of  # noqa: E402
from prepare_data import CLASSES, class_of, fetch, on_white  # noqa: E402

OTHER = "other"


def names_of(emoji: dict) -> list[str]:
    """What its captions call it, bare: one form of caption is "NAME emoji"."""
    return [caption.removesuffix(" emoji") for caption in captions_of(emoji) if re.fullmatch(r"(?!an emoji).* emoji", caption)]


def is_captioned(emoji: dict) -> bool:
    pattern = CHOSEN.get(emoji["subcategory"], "")
    return bool(emoji["name"]) and pattern != "" and (pattern is None or bool(re.search(pattern, emoji["name"])))


def labelled_pictures(root: Path) -> tuple[np.ndarray, np.ndarray, list[dict]]:
    classes, labels, index = list(CLASSES), [], {}
    images, targets = [], []

    def label(key: str, names: list[str], group: str | None) -> int:
        if key not in index:
            index[key] = len(labels)
            labels.append({"names": names, **({"group": group} if group else {})})
        return index[key]

    for emoji in sorted(json.loads((root / "emoji.json").read_text()), key=lambda e: e["sort_order"]):
        number = class_of(emoji, classes)
        group = classes[number] if number >= 0 else None
        tones = list((emoji.get("skin_variations") or {}).values())
        for variant, is_tone in [(emoji, False), *((tone, True) for tone in tones)]:
            path = root / "img/google/64" / variant["image"]
            if not path.exists():
                continue
            if is_captioned(emoji):
                target = label(emoji["unified"], names_of(emoji), group)
            elif group is not None and (not is_tone or CLASSES[group][2]):
                target = label(group, [group], group)
            else:
                target = label(OTHER, [OTHER], None)
            images.append(on_white(path))
            targets.append(target)
    return np.stack(images), np.array(targets), labels


@torch.no_grad()
def through_autoencoder(vae: AutoencoderKL, images: np.ndarray) -> np.ndarray:
    """With noise of 0 to 0.4 on latents of unit variance, drawn for each picture."""
    decoded = []
    generator = torch.Generator().manual_seed(0)
    for first in range(0, len(images), 32):
        x = torch.from_numpy(images[first:first + 32]).permute(0, 3, 1, 2).float() / 127.5 - 1
        z = vae.encode(x).latent_dist.mean * vae.config.scaling_factor
        z += 0.4 * torch.rand(len(z), 1, 1, 1, generator=generator) * torch.randn(z.shape, generator=generator)
        y = vae.decode(z / vae.config.scaling_factor).sample
        decoded.append(((y / 2 + 0.5).clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy())
        if first % 640 == 0:
            print(first, "of", len(images), flush=True)
    return np.concatenate(decoded)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--vae", type=Path, help="a diffusers folder, by default WORK/vae")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    images, targets, labels = labelled_pictures(fetch(args.work))
    sizes = np.bincount(targets, minlength=len(labels))
    for count, entry in sorted(zip(sizes.tolist(), labels), key=lambda pair: -pair[0])[:30]:
        print(f"{count:5d} {entry['names'][0]}")
    print(len(images), "pictures,", len(labels), "labels,", int((sizes == 1).sum()), "of them with one picture")
    vae = AutoencoderKL.from_pretrained(args.vae or args.work / "vae").eval()
    np.savez(args.work / "classifier.npz", images=images, decoded=through_autoencoder(vae, images), labels=targets)
    (args.work / "classifier_labels.json").write_text(json.dumps(labels, indent=1))


if __name__ == "__main__":
    main()
