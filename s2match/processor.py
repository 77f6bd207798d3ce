"""How the libraries that compute use the processor: told to them in the environment, which they read when they load."""

import os

# GNU OpenMP's threads soon sleep when they wait for each other, and OpenBLAS, whose products here are small, takes one:
# threads that spin keep what they wait for from its core wherever anything else runs, and take several times as long.
ENVIRONMENT = {"GOMP_SPINCOUNT": "100000", "OPENBLAS_NUM_THREADS": "1"}

# What a user may have set to the same end, and would be overruled.
_INSTEAD = {"GOMP_SPINCOUNT": "OMP_WAIT_POLICY", "OPENBLAS_NUM_THREADS": "OMP_NUM_THREADS"}


def share_processor() -> None:
    """Set :data:`ENVIRONMENT` for this process, where the user has not set it otherwise.

    For the beginning of a command: what is imported already is not changed.
    """
    for name, value in ENVIRONMENT.items():
        if _INSTEAD[name] not in os.environ:
            os.environ.setdefault(name, value)
