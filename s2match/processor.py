"""How the libraries that compute use the processor: told to them in the environment, which they read when they load."""

import os

# GNU OpenMP's threads soon sleep when they wait for each other, and OpenBLAS, whose products here are small, takes one:
# threads that spin keep what they wait for from its core wherever anything else runs, and take ten times as long.
# PyTorch takes large blocks of memory in large pages, whose first use costs a fraction.
ENVIRONMENT = {"GOMP_SPINCOUNT": "100000", "OPENBLAS_NUM_THREADS": "1", "THP_MEM_ALLOC_ENABLE": "1"}


def share_processor() -> None:
    """Set :data:`ENVIRONMENT` for this process, where the user has not set it otherwise.

    For the beginning of a command: what is imported already is not changed.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
