"""The trained classifier as a converted checkpoint.

    python export_classifier.py --work DIR --out FOLDER     # after train_classifier.py, or while it runs

Folds the batch norms, stores float16 in delta-dit's layout (kernels HWIO and [in, out]) with a manifest, and measures
what was stored: on the pictures as they are, and on augmentations that training has not drawn.
"""
import argparse
import hashlib
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from classifier import CONFIG, Classifier
from train_classifier import Pictures, accuracy

FILE = "classifier.safetensors"


def stored_name_and_layout(name: str, tensor: torch.Tensor) -> tuple[str, torch.Tensor]:
    if tensor.ndim < 2:
        return name, tensor
    kernel = tensor.T if tensor.ndim == 2 else tensor.permute(2, 3, 1, 0)
    return name.removesuffix("weight") + "kernel", kernel


def described(path: Path) -> dict:
    content = path.read_bytes()
    return {"name": path.name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def write_folder(folder: Path, parameters: dict, labels: list[dict], source: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    stored = dict(stored_name_and_layout(*entry) for entry in parameters.items())
    save_file({name: tensor.contiguous() for name, tensor in stored.items()}, folder / FILE)
    manifest = {
        "format": "delta-dit", "version": 1, "pipeline": "ImageClassifier",
        "classifier": {"config": {**CONFIG, "numLabels": len(labels)}, "dtype": "F16", "files": [described(folder / FILE)]},
        "labels": labels, "source": [described(source)],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")


@torch.no_grad()
def accuracy_as_they_are(model: Classifier, pictures: Pictures) -> tuple[float, float]:
    """Of all pictures, and of those that have a label of their own."""
    x = pictures.sets[0].permute(0, 3, 1, 2).float() / 127.5 - 1
    hits = torch.cat([model(part).argmax(1) for part in x.split(64)]) == pictures.labels
    alone = torch.bincount(pictures.labels)[pictures.labels] == 1
    return float(hits.float().mean()), float(hits[alone].float().mean())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    state = args.work / "classifier_state.pt"
    labels = json.loads((args.work / "classifier_labels.json").read_text())
    saved = torch.load(state)
    model = Classifier(len(labels))
    model.load_state_dict(saved["ema"])
    parameters = {name: tensor.half() for name, tensor in model.eval().folded().items()}
    write_folder(args.out, parameters, labels, state)
    model.load_state_dict({name: tensor.float() for name, tensor in zip(model.state_dict(), parameters.values())})
    pictures = Pictures(args.work / "classifier.npz")
    everything, alone = accuracy_as_they_are(model, pictures)
    print(f"step {saved['step']}: {everything:.4f} of the pictures, {alone:.4f} of those with a label of their own,")
    print(f"{accuracy(model, pictures):.4f} of augmentations, labels drawn as in training")


if __name__ == "__main__":
    main()
