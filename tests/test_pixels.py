"""The places for decoded pixels: which one is chosen, and that images come back as they were put in."""

import numpy as np
import pytest
import torch

from noodle_tui import pixels as module
from noodle_tui.pixels import FlatStore, PaddedStore, Room, choose_place

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
ROOM = Room(train=np.array([[10, 20], [20, 10], [0, 0]]), val=np.full((2, 2), 8))


def images(*sizes: tuple[int, int]) -> list[torch.Tensor]:
    return [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for size in sizes]


def test_room_is_counted_with_and_without_padding() -> None:
    assert ROOM.flat() == 3 * (200 + 200 + 64 + 64)
    assert ROOM.padded() == 3 * (3 * 32 * 32 + 2 * 16 * 16)
    assert ROOM.count == 5


@pytest.mark.parametrize(("device", "gpu_free", "memory_free", "place"), [
    (CUDA, 27_000, 0, "device"),
    (CUDA, 26_000, 10_000, "memory"),  # 40% are 10,400, and 10,752 are needed
    (CUDA, 0, 1_000, "cache"),
    (CPU, 10_000, 10_000, "memory"),
    (CPU, 10_000, 2_640, "memory"),  # 60% are 1,584: just enough
    (CPU, 10_000, 2_639, "cache"),
])
def test_the_fastest_place_with_room_is_chosen(
    device: torch.device, gpu_free: int, memory_free: int, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (gpu_free, 10**9))
    monkeypatch.setattr(module, "available_memory", lambda: memory_free)
    assert choose_place(ROOM, device) == place


def test_what_several_ranks_of_a_machine_keep_counts_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "available_memory", lambda: 8 * 2_640)
    assert [choose_place(ROOM, CPU, ranks) for ranks in (1, 8, 9)] == ["memory", "memory", "cache"]


@pytest.mark.parametrize("store", [FlatStore(1000), PaddedStore(np.array([[9, 9]] * 3), CPU)])
def test_images_come_back_as_they_were_put_in(store: FlatStore | PaddedStore) -> None:
    put = images((3, 5), (9, 2), (1, 9))
    for image in put:
        store.keep(image)
    got = store.pixels()
    assert len(got) == 3
    assert got.sizes.tolist() == [[3, 5], [9, 2], [1, 9]]
    assert all(torch.equal(a, b) for a, b in zip(put, got, strict=True))
    with pytest.raises(IndexError):
        got[3]


@pytest.mark.parametrize("store", [FlatStore(10), PaddedStore(np.array([[2, 3]] * 4), CPU)])
def test_images_larger_than_their_headers_promised_are_kept_all_the_same(store: FlatStore | PaddedStore) -> None:
    put = images((2, 2), (70, 50), (3, 4), (1, 90))
    for image in put:
        store.keep(image)
    assert all(torch.equal(a, b) for a, b in zip(put, store.pixels(), strict=True))


@pytest.mark.parametrize("store", [FlatStore(1000), PaddedStore(np.array([[4, 4]] * 3), CPU)])
def test_images_of_one_size_are_one_tensor_without_a_copy(store: FlatStore | PaddedStore) -> None:
    put = images((4, 4), (4, 4))
    for image in put:
        store.keep(image)
    got = store.pixels()
    assert torch.equal(got.stacked(), torch.stack(put))
    assert got.stacked().data_ptr() == got[0].data_ptr()


def test_a_padded_image_is_black_outside() -> None:
    store = PaddedStore(np.array([[2, 3], [4, 1]]), CPU)
    for image in images((2, 3), (4, 1)):
        store.keep(image + 1 - image % 2)  # no black within
    tensor = store.pixels().tensor
    assert tensor.shape == (2, 16, 3, 16)
    assert [int((one != 0).sum()) for one in tensor] == [3 * 6, 3 * 4]
