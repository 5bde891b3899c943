"""The emoji classifier: a small residual network, with batch norm while it is trained and without once it is folded."""
import torch
import torch.nn.functional as F
from torch import nn

CONFIG = {"imageSize": 64, "inChannels": 3, "channels": [32, 64, 96, 128], "blocks": 1}


class Convolution(nn.Module):
    """3x3 and batch norm. Stride 2 pads one row below and one column to the right."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride, padding=1 if stride == 1 else 0)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return self.norm(self.conv(x if self.conv.stride == (1, 1) else F.pad(x, (0, 1, 0, 1))))

    def fold(self) -> None:
        """Puts the norm of inference into the kernel and the bias."""
        scale = self.norm.weight / torch.sqrt(self.norm.running_var + self.norm.eps)
        self.conv.bias.copy_((self.conv.bias - self.norm.running_mean) * scale + self.norm.bias)
        self.conv.weight.mul_(scale.view(-1, 1, 1, 1))
        self.norm = nn.Identity()


class Residual(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = Convolution(channels, channels)
        self.conv2 = Convolution(channels, channels)
        nn.init.zeros_(self.conv2.norm.weight)

    def forward(self, x):
        return F.relu(x + self.conv2(F.relu(self.conv1(x))))


class Stage(nn.Module):
    """Halves the size, then blocks."""

    def __init__(self, inputs: int, channels: int, blocks: int):
        super().__init__()
        self.downsample = Convolution(inputs, channels, stride=2)
        self.blocks = nn.ModuleList(Residual(channels) for _ in range(blocks))

    def forward(self, x):
        x = F.relu(self.downsample(x))
        for block in self.blocks:
            x = block(x)
        return x


class Classifier(nn.Module):
    def __init__(self, labels: int, config: dict = CONFIG):
        super().__init__()
        widths = [config["inChannels"], *config["channels"]]
        self.stages = nn.ModuleList(Stage(a, b, config["blocks"]) for a, b in zip(widths, widths[1:]))
        self.head = nn.Linear(widths[-1], labels)

    def features(self, x):
        """[N,3,H,W] in [-1, 1] -> [N,C]"""
        for stage in self.stages:
            x = stage(x)
        return x.mean((2, 3))

    def forward(self, x):
        return self.head(self.features(x))

    @torch.no_grad()
    def folded(self) -> dict[str, torch.Tensor]:
        """Folds all norms and gives the parameters, named as they are stored."""
        for module in list(self.modules()):
            if isinstance(module, Convolution):
                module.fold()
        return {name.replace(".conv.", "."): value for name, value in self.state_dict().items()}
