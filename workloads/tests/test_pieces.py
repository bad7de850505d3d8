# SPDX-License-Identifier: Apache-2.0
"""How files are divided among batches and tasks."""

from __future__ import annotations

from storescope_workloads.scan.pieces import FILE_WEIGHT, Cluster, FileLayout, Piece, batches, pieces, tasks

MIB = 1 << 20


def layouts(count: int, *needed: int, dataset: str = "data") -> list[FileLayout]:
    """So many files, each of clusters of ten entries that need these bytes."""
    clusters = tuple(Cluster(10 * at, 10 * at + 10, of_one) for at, of_one in enumerate(needed))
    return [FileLayout(dataset, f"{number}.root", 1, "v", "ttree", "Events", clusters) for number in range(count)]


def planned(files: list[FileLayout], slots: int, target: int = 16 * MIB, rounds: int = 3) -> list[list[Piece]]:
    (batch,) = batches(files, 1 << 60)
    return tasks(batch, target, slots, rounds)


def test_files_of_which_nothing_is_needed_are_spread():
    """Baskets may be in the tree itself, which is read where the file is opened."""
    made = planned(layouts(1000, 0), slots=8)
    assert 24 <= len(made) + 1 <= 26 and max(len(task) for task in made) == 42
    assert [piece.file for task in made for piece in task] == list(range(1000))


def test_small_files_are_spread_as_evenly_as_their_number():
    made = planned(layouts(1000, 10, 20), slots=8)
    assert max(len(task) for task in made) == 42


def test_a_batch_ends_for_many_small_files_too():
    made = batches(layouts(1000, 0), 100 * MIB)
    assert [len(batch.files) for batch in made] == [100] * 10
    assert (made[0].needed, made[0].weight) == (0, 100 * FILE_WEIGHT)
    assert [len(batch.files) for batch in batches(layouts(10, 4 * MIB), 10 * MIB)] == [2] * 5


def test_a_file_counts_for_each_task_that_opens_it():
    """A large file is divided, and its parts weigh as much as small files beside it."""
    files = layouts(1, *[MIB] * 60) + layouts(30, MIB)
    made = planned(files, slots=4)
    weights = [sum(piece.needed for piece in task) + FILE_WEIGHT * len({piece.file for piece in task}) for task in made]
    assert max(weights) <= 2 * min(weights[:-1])
    assert sum(piece.needed for task in made for piece in task) == 90 * MIB


def test_pieces_have_the_target_and_no_cluster_is_divided():
    (layout,) = layouts(1, 5, 5, 20, 1, 1)
    assert [(piece.start, piece.stop, piece.needed) for piece in pieces(0, layout, 10)] == [
        (0, 20, 10),
        (20, 30, 20),
        (30, 50, 2),
    ]


def test_tasks_are_of_one_data_set():
    made = planned([*layouts(3, 0, dataset="one"), *layouts(3, 0, dataset="two")], slots=1, rounds=1)
    assert [{piece.dataset for piece in task} for task in made] == [{"one"}, {"two"}]
