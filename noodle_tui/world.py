"""The processes that train one model together, as the training code sees them: which of them this is, its share of a batch,
what all of them sum up, and when all of them stop. One alone is the usual case, and costs nothing.

How they find each other, and end together, is in distributed.py. torch is imported where it is used.
"""

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from noodle_tui.control import Control

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.distributed import Store  # type: ignore[attr-defined]

    from noodle_tui.device import Device

AGREE_EVERY = {"cpu": 1, "cuda": 16}  # steps between two agreements: each is a round trip over gloo, 0.1 ms on one node


@dataclass(frozen=True)
class World:
    """The ranks that train together, and which of them this process is. The defaults mean one process, without torchrun."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0  # among those of this node: the number of its GPU
    local_size: int = 1  # how many they are
    store: "Store | None" = None  # torchrun's; it outlives the ranks
    torchrun: int = 0  # its process on this node

    def broadcast(self, value: Any) -> Any:
        """Rank 0's `value`, on every rank; the others wait for it."""
        if self.size == 1:
            return value
        import torch
        import torch.distributed as dist

        values = [value]
        dist.broadcast_object_list(values, src=0, device=torch.device("cpu"))
        return values[0]

    def all_reduce(self, tensor: "Tensor") -> "Tensor":
        """The sum over the ranks of a tensor of one shape; `tensor` itself stays as it is."""
        if self.size == 1:
            return tensor
        import torch.distributed as dist

        total = tensor.clone()
        dist.all_reduce(total)
        return total

    def all_gather(self, rows: "Tensor", n: int) -> "Tensor":
        """All ranks' rows [n, k], of which `rows` are this one's share."""
        if self.size == 1:
            return rows
        own = rows.new_zeros(n, *rows.shape[1:])
        own[self.share(n)] = rows
        return self.all_reduce(own)

    def reduce_to_rank_0(self, tensor: "Tensor") -> None:
        """Move the ranks' summands of a sum to rank 0, in place; the others' become zero."""
        total = self.all_reduce(tensor)
        tensor.copy_(total) if self.rank == 0 else tensor.zero_()

    def broadcast_buffers(self, model: "nn.Module") -> None:
        """Give every rank rank 0's buffers, batch norm's running statistics: all validate the model that is saved."""
        if self.size > 1:
            import torch.distributed as dist

            for buffer in model.buffers():
                dist.broadcast(buffer, src=0)

    def share(self, n: int) -> slice:
        """This rank's slice of `n` things in a row. The ranks' slices differ by one thing at most; rank 0's is never empty."""
        return slice(-(-n * self.rank // self.size), -(-n * (self.rank + 1) // self.size))

    def batch(self, step: int, batch_size: int, n: int) -> slice:
        """This rank's part of batch `step` (0 is the first) of `n` images in a row."""
        first = step * batch_size
        own = self.share(min(batch_size, n - first))
        return slice(first + own.start, first + own.stop)

    def leave_word(self, word: str) -> bool:
        """Tell the others why this rank ends. Whether it was the first to."""
        if self.store is None:
            return True
        import torch.distributed as dist

        own = f"{self.rank} {word}"
        try:
            return self.store.compare_set("end", "", own).decode() == own
        except dist.DistError:  # torchrun was killed: each speaks for itself
            return True

    def last_word(self) -> str:
        """Why the first rank that ended did: an error for people, distributed.STOPPED, or "" if none has said so."""
        if self.store is None:
            return ""
        import torch.distributed as dist

        try:
            return self.store.get("end").decode().partition(" ")[2] if self.store.check(["end"]) else ""
        except dist.DistError:
            return ""


ALONE = World()


class SharedControl:
    """A Control that all ranks look at together: where one was asked to stop, or rank 0 to pause, all are, at the same step."""

    def __init__(self, control: Control, world: World, device: "Device"):
        self._control, self._world = control, world
        self._every, self._calls = AGREE_EVERY[device.torch_device.type], 0
        self._paused = False

    def check(self) -> None:
        """Raise StopRun on all ranks alike. All call this equally often."""
        self._calls += 1
        if self._calls % self._every == 0:
            self._agree()

    @property
    def pause_requested(self) -> bool:
        """As it was agreed on last."""
        return self._paused

    def wait_while_paused(self) -> None:
        """Sleep until the pause ends; StopRun if the run is stopped meanwhile."""
        while self._paused:
            time.sleep(0.1)
            self._agree()

    def _agree(self) -> None:
        import torch

        if os.getppid() != self._world.torchrun:  # killed, and nobody looks after the ranks any more
            self._control.stop("torchrun is gone")
        pause = self._control.pause_requested and self._world.rank == 0  # this looks at the run folder, too
        wishes = self._world.all_reduce(torch.tensor([self._control.stop_requested, pause], dtype=torch.int32))
        self._paused = bool(wishes[1])
        if wishes[0]:
            self._control.stop("another process of this run was asked to stop")  # an earlier reason stays
            self._control.check()


def shared(control: Control, world: World, device: "Device") -> Control | SharedControl:
    """`control` as the training loop looks at it: together with the other ranks where there are any."""
    return SharedControl(control, world, device) if world.size > 1 else control
