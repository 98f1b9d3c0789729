"""The plain loop that most people would write: ImageFolder, torchvision's transforms, a DataLoader, `.item()` each step."""

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision import transforms
from torchvision.datasets.folder import default_loader
from torchvision.models import resnet18

from noodle_tui.augment import IMAGENET_MEAN, IMAGENET_STD
from noodle_tui.config import DEFAULT_PERSON
from noodle_tui.samples import Sample, find_samples


class SomeAtRandom(Sampler[int]):
    """The first `count` of all indices, shuffled anew each epoch: an epoch over a sample of the photos."""

    def __init__(self, n: int):
        self._n, self.count = n, n

    def __iter__(self) -> Iterator[int]:
        return iter(torch.randperm(self._n)[: self.count].tolist())

    def __len__(self) -> int:
        return self.count


def transforms_of(input_size: int) -> dict[str, Callable]:
    """torchvision's usual transforms for fine-tuning, from a PIL image to a normalised float32 [3, size, size]."""
    to_input = [transforms.ToTensor(), transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)]
    return {
        "train": transforms.Compose([transforms.RandomResizedCrop(input_size), transforms.RandomHorizontalFlip(), *to_input]),
        "val": transforms.Compose([transforms.Resize(input_size), transforms.CenterCrop(input_size), *to_input]),
    }


class Photos(Dataset):
    """What ImageFolder gives, of the photos that the trainer takes: it knows fewer endings, and takes hidden folders for
    classes."""

    def __init__(self, samples: Sequence[Sample], transform: Callable | None = None):
        self._samples, self._transform = samples, transform

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        sample = self._samples[index]
        image = default_loader(str(sample.path))
        return (self._transform(image) if self._transform else image), sample.label


class PlainLoop:
    """The plain loop over a data folder, with `workers` loader processes, in fp32 or bf16 autocast."""

    def __init__(self, data_dir: Path, batch_size: int, input_size: int, device: torch.device, workers: int, bf16: bool):
        self._device, self._bf16 = device, bf16
        self._samplers: dict[str, SomeAtRandom] = {}
        self._loaders: dict[str, DataLoader] = {}
        found = find_samples(data_dir, DEFAULT_PERSON)
        for split, transform in transforms_of(input_size).items():
            photos = Photos(found.samples[split], transform)
            self._samplers[split] = SomeAtRandom(len(photos))
            self._loaders[split] = DataLoader(
                photos, batch_size, sampler=self._samplers[split], num_workers=workers, persistent_workers=workers > 0,
                pin_memory=workers > 0 and device.type == "cuda",
            )
        self.n_train = self._samplers["train"].count
        self._n_val = self._samplers["val"].count
        self._model = resnet18(num_classes=len(found.classes)).to(device)
        self._optimizer = torch.optim.SGD(self._model.parameters(), lr=0.001, momentum=0.9)
        self._best = -1.0

    def epoch(self, n_train: int) -> float:
        """Train on `n_train` photos at random, validate on as large a share of the others: images a second, both counted."""
        n_val = max(1, round(self._n_val * n_train / self.n_train))
        self._samplers["train"].count, self._samplers["val"].count = n_train, n_val
        began = time.perf_counter()
        self._phase("train")
        accuracy = self._phase("val")
        if accuracy > self._best:
            self._best, _ = accuracy, copy.deepcopy(self._model.state_dict())
        return (n_train + n_val) / (time.perf_counter() - began)

    def _phase(self, phase: str) -> float:
        """One pass; its accuracy."""
        train = phase == "train"
        self._model.train(train)
        criterion, loss_sum, correct, count = nn.CrossEntropyLoss(), 0.0, 0, 0
        for images, labels in self._loaders[phase]:
            images, labels = images.to(self._device), labels.to(self._device)
            self._optimizer.zero_grad()
            with torch.set_grad_enabled(train), torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16):
                logits = self._model(images)
                loss = criterion(logits, labels)
            if train:
                loss.backward()
                self._optimizer.step()
            loss_sum += loss.item() * len(images)
            correct += int((logits.argmax(1) == labels).sum().item())
            count += len(images)
        return correct / count
