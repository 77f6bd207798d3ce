"""Exit codes of the command that are not those of an error it prints; :mod:`s2match.errors` has the others."""

from s2match.errors import NotCorrectedError

# Matched, but no model was accepted.
NO_REGISTRATION = 3

# Matched, but the corrected files were not kept.
NOT_CORRECTED = NotCorrectedError.exit_code

# Matched, but the displacement exceeds --fail_above.
ABOVE_LIMIT = 5

INTERRUPTED = 130

# The reader of standard output has gone before the end: 128 and the number of SIGPIPE, as in a shell.
NO_READER = 141
