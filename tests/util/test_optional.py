"""Garbage collection is paused during imports, and skips what they created."""

import gc

from s2match.util.optional import without_garbage_collection


def test_collection_resumes_afterwards_without_the_imported_objects() -> None:
    frozen = gc.get_freeze_count()
    try:
        with without_garbage_collection():
            assert not gc.isenabled()
            kept = [[] for _ in range(1000)]
        assert gc.isenabled() and gc.get_freeze_count() >= frozen + len(kept)
    finally:
        gc.unfreeze()


def test_collection_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with without_garbage_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.unfreeze()
        gc.enable()
