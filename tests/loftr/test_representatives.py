"""One match represents the matches of each 2 × 2 cells."""

import torch

from s2match.loftr.representatives import representatives

GRID = (5, 7)


def test_the_most_confident_match_of_a_block_represents_it() -> None:
    # cells (0, 0), (0, 1), (1, 1), (1, 2), (4, 6), as (row, column)
    cells = torch.tensor([0, 1, 8, 9, 34])
    found = representatives(cells, torch.tensor([0.25, 0.75, 0.5, 0.5, 0.125]), GRID)
    assert found.indices.tolist() == [1, 3, 4]
    assert found.of.tolist() == [0, 0, 0, 1, 2]
    assert found.confidence.tolist() == [1.5, 0.5, 0.125]
    assert found.steps.tolist() == [[-1, 0], [0, 0], [0, 1], [0, 0], [0, 0]]


def test_of_equal_matches_the_first_represents_the_block() -> None:
    cells = torch.tensor([16, 17, 23, 24])
    found = representatives(cells, torch.ones(4), GRID)
    assert found.indices.tolist() == [0] and found.of.tolist() == [0, 0, 0, 0]
    assert found.steps.tolist() == [[0, 0], [1, 0], [0, 1], [1, 1]]


def test_matches_alone_in_their_blocks_represent_themselves() -> None:
    cells = torch.tensor([0, 2, 4, 14, 18, 32])
    found = representatives(cells, torch.linspace(0.1, 0.6, 6), GRID)
    assert found.indices.tolist() == found.of.tolist() == list(range(6))
    assert not found.steps.any()
