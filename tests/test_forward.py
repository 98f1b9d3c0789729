"""What the network answers."""

import torch

from noodle_tui.forward import exact_softmax


def test_probabilities_of_sure_answers_and_of_near_ones_keep_their_order() -> None:
    surer = exact_softmax(torch.tensor([[20.0, 0.0], [25.0, 0.0]]))
    assert surer[0][0] < surer[1][0] < 1.0
    near = exact_softmax(torch.tensor([[0.0, 2e-8]]))[0]
    assert near[0] < near[1]
