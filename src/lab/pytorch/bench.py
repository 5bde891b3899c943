"""
Repeats one computation in PyTorch (eager, float32, inference mode) at the word of the program that started it.

    python bench.py CASE.safetensors THREADS

The case holds weights and inputs, and in its metadata the task ("block": a chain of blocks, "model": one forward,
"image": whole pictures), the model ("dit" or "pixart") and its sizes. First {"ready": versions} is printed, or {"error":
what is wrong}; then each line that is read is answered by one line of JSON:

    run           {"ms": milliseconds of one run, "stages": those of each stage}; a stage is named after its result
    RESULT FILE   {"shape": of that result of the last run}, whose numbers are written to FILE, float32, little-endian

"output" is the last result of all; of pictures, "latents" come before it.
"""
import ctypes
import json
import sys
import time

try:
    import torch
except ImportError as missing:
    print(json.dumps({"error": f"{missing}; install it with: {sys.executable} -m pip install torch"}), flush=True)
    sys.exit(0)


def read_case(path: str) -> tuple[dict, dict]:
    """Tensors, which lie in the mapped file, and metadata."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        size = file.seek(0, 2)
    numbers = torch.from_file(path, shared=False, size=size, dtype=torch.uint8)[8 + length:]
    metadata = header.pop("__metadata__")
    return {
        name: numbers[slice(*entry["data_offsets"])].view(torch.float32).reshape(entry["shape"])
        for name, entry in header.items()
    }, metadata


def as_torch(name: str, tensor):
    """Kernels are [in, out] or [height, width, in, out] in the case; PyTorch's weights are [out, in, height, width]."""
    if not name.endswith(".kernel"):
        return name, tensor.clone()
    turned = tensor.T if tensor.dim() == 2 else tensor.permute(3, 2, 0, 1)
    return f"{name.removesuffix('kernel')}weight", turned.contiguous()


def build(case: str) -> dict:
    """The stages of a run by the names of their results; each takes the result before it."""
    tensors, metadata = read_case(case)
    inputs = {name.removeprefix("inputs."): tensor for name, tensor in tensors.items() if name.startswith("inputs.")}
    state = dict(as_torch(name, tensor) for name, tensor in tensors.items() if not name.startswith("inputs."))
    if metadata["model"] == "pixart":
        import pixart as original
    else:
        import dit as original
    task, config = metadata["task"], json.loads(metadata["config"])
    if task == "image":
        import picture
        return picture.stages(original, config, state, inputs)
    return {"output": original.build(task, config, state, inputs).requires_grad_(False).eval()}


def run(stages: dict) -> tuple[dict, dict]:
    """Results of the stages, and their milliseconds."""
    results, ms, last = {}, {}, []
    for name, stage in stages.items():
        start = time.perf_counter()
        results[name] = stage(*last)
        ms[name] = 1000 * (time.perf_counter() - start)
        last = [results[name]]
    return results, ms


def versions() -> str:
    names = [name for name in ["torch", "diffusers"] if name in sys.modules]
    return ", ".join(f"{name} {sys.modules[name].__version__}" for name in names)


def write_output(path: str, result) -> dict:
    """Pictures [N, C, H, W] as [N, H, W, C]."""
    result = (result.permute(0, 2, 3, 1) if result.dim() == 4 else result).contiguous()
    with open(path, "wb") as file:
        file.write(ctypes.string_at(result.data_ptr(), 4 * result.numel()))
    return {"shape": list(result.shape)}


@torch.inference_mode()
def main(case: str, threads: str) -> None:
    torch.set_num_threads(int(threads))
    try:
        stages = build(case)
    except ImportError as missing:
        install = f"{sys.executable} -m pip install diffusers"
        print(json.dumps({"error": f"{missing}; a PixArt and whole pictures need it: {install}"}), flush=True)
        return
    print(json.dumps({"ready": f"{versions()}, {torch.get_num_threads()} threads"}), flush=True)
    results = {}
    for line in sys.stdin:
        word, _, path = line.rstrip("\n").partition(" ")
        if word == "run":
            results, ms = run(stages)
            answer = {"ms": sum(ms.values()), "stages": ms}
        else:
            answer = write_output(path, results[word])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
