"""Pictures and captions for the text-to-image demo, and a SentencePiece unigram model of the captions.

    python prepare_captions.py --work DIR     # after ../../dit-emoji/train/prepare_data.py --work DIR, which fetches the emoji

Writes DIR/captions.npz (images uint8 [M,64,64,3]), DIR/captions.json (a list of captions for each picture, and the
names that were held out) and DIR/tokenizer/ (a transformers T5Tokenizer folder with spiece.model).
"""
import argparse
import json
import re
import sys
from pathlib import Path

import numpy as np
import sentencepiece
from transformers import T5Tokenizer

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "dit-emoji" / "train"))
from prepare_data import fetch, on_white  # noqa: E402

# Subcategory -> pattern on the Unicode name, or None for all of it.
CHOSEN = {
    **dict.fromkeys([
        "face-smiling", "face-affection", "face-tongue", "face-hand", "face-neutral-skeptical", "face-sleepy",
        "face-unwell", "face-hat", "face-glasses", "face-concerned", "face-negative", "face-costume", "cat-face",
        "monkey-face", "heart", "animal-mammal", "animal-bird", "animal-amphibian", "animal-reptile", "animal-marine",
        "plant-flower", "plant-other", "food-fruit", "food-vegetable", "food-prepared", "food-asian", "food-sweet", "drink",
    ]),
    "sport": r"BALL$|BALL |BASEBALL|VOLLEYBALL",
    "sky & weather": r"SUN|MOON|CLOUD|STAR|RAINBOW|SNOW|UMBRELLA|FIRE|DROPLET|TORNADO",
    "transport-ground": r"CAR$|AUTOMOBILE|BUS$|TRAIN|TRUCK|TAXI|BICYCLE|TRACTOR|ENGINE|AMBULANCE|SCOOTER|LOCOMOTIVE",
    "geometric": r"LARGE|TRIANGLE",
}
# Never shown, to see whether a colour and a shape that were learned apart can be put together.
HELD_OUT = {"BLUE HEART", "LARGE GREEN SQUARE", "LARGE PURPLE CIRCLE"}
SHOWN_AS = ["{a}", "{n}", "{n} emoji", "an emoji of {a}", "emoji of {a}", "a picture of {a}", "an icon of {a}"]


def plain(text: str) -> str:
    text = re.sub(r"[_\u2019']", " ", text.lower().replace("-", " "))
    return re.sub(r"\s+", " ", re.sub(r"\blarge (?=\w+ (circle|square|diamond))", "", text)).strip()


def captions_of(emoji: dict) -> list[str]:
    names = {plain(emoji["name"])}
    names |= {plain(short) for short in emoji["short_names"] if not re.search(r"\d", short)}
    names |= {re.sub(r"\bface\b ?", "", name).strip() for name in list(names) if len(name.split()) > 2}
    captions = []
    for name in sorted(n for n in names if n):
        article = name if name.endswith("s") else f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
        captions += [shown.format(a=article, n=name) for shown in SHOWN_AS]
    return list(dict.fromkeys(captions))


def train_tokenizer(captions: list[str], work: Path) -> None:
    folder = work / "tokenizer"
    folder.mkdir(exist_ok=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(captions), model_prefix=str(folder / "spiece"), model_type="unigram", vocab_size=1000,
        hard_vocab_limit=False, character_coverage=1.0, normalization_rule_name="nmt_nfkc",
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1,  # as in T5
        minloglevel=1,
    )
    (folder / "spiece.vocab").unlink()
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "T5Tokenizer", "model_max_length": 120}))
    T5Tokenizer.from_pretrained(folder).save_pretrained(folder)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=Path, required=True)
    work = parser.parse_args().work
    root = fetch(work)
    images, captions, held_out = [], [], {}
    for emoji in sorted(json.loads((root / "emoji.json").read_text()), key=lambda e: e["sort_order"]):
        pattern = CHOSEN.get(emoji["subcategory"], "")
        path = root / "img/google/64" / emoji["image"]
        if not emoji["name"] or pattern == "" or (pattern and not re.search(pattern, emoji["name"])) or not path.exists():
            continue
        if emoji["name"] in HELD_OUT:
            held_out[emoji["name"]] = captions_of(emoji)
            continue
        images.append(on_white(path))
        captions.append(captions_of(emoji))
    np.savez(work / "captions.npz", images=np.stack(images))
    (work / "captions.json").write_text(json.dumps({"captions": captions, "heldOut": held_out}, indent=1))
    train_tokenizer([c for several in captions for c in several], work)
    print(len(images), "pictures,", sum(map(len, captions)), "captions")


if __name__ == "__main__":
    main()
