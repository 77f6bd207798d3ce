"""What is imported is kept, and nothing is looked through for garbage on the way."""

import gc

from s2match.util.optional import no_garbage


def test_garbage_is_looked_for_again_afterwards_but_not_in_what_was_there() -> None:
    frozen = gc.get_freeze_count()
    try:
        with no_garbage():
            assert not gc.isenabled()
            kept = [[] for _ in range(1000)]
        assert gc.isenabled() and gc.get_freeze_count() >= frozen + len(kept)
    finally:
        gc.unfreeze()


def test_who_has_switched_it_off_keeps_it_off() -> None:
    gc.disable()
    try:
        with no_garbage():
            pass
        assert not gc.isenabled()
    finally:
        gc.unfreeze()
        gc.enable()
