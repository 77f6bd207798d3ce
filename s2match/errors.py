"""Errors that a user can cause: a base class, and for each error one sentence and one exit code.

The command line prints the sentence and ends with the code. Code 1 is Python's own for an unexpected failure, 2 is
argparse's for a malformed command. Codes 3 and 5 are no errors: matched, but no registration, and matched, but
displaced by more than ``--fail_above``. The command ends with the code of :class:`NotCorrectedError` without an error,
too: the pair was matched and its results were written.
"""


class S2MatchError(Exception):
    """Base class of all errors that a user can cause or meet; ``str(error)`` is one sentence for the user."""

    exit_code = 1


class NotCorrectedError(S2MatchError):
    """The pair needs no correction, or the correction does not come out better."""

    exit_code = 4


class DatasetError(S2MatchError):
    """The images of a dataset or a series cannot be listed: a folder is missing or empty, or a list is not valid."""

    exit_code = 10


class ImageIndexError(S2MatchError):
    """An index lies outside the list of images."""

    exit_code = 11


class SameImageError(S2MatchError):
    """Both sides of the pair are the same image."""

    exit_code = 12


class UnreadableImageError(S2MatchError):
    """A file is missing, is not an image, or is damaged."""

    exit_code = 13


class NoValidPixelsError(S2MatchError):
    """An image contains only nodata."""

    exit_code = 14


class NoOverlapError(S2MatchError):
    """The footprints of two georeferenced images share no ground."""

    exit_code = 15


class ImageSizeError(S2MatchError):
    """The size to match at is not usable."""

    exit_code = 16


class OptionError(S2MatchError):
    """The value of an option lies outside its range."""

    exit_code = 17


class UnknownWeightsError(S2MatchError):
    """The weights are neither a known name nor a file."""

    exit_code = 18


class WeightsDownloadError(S2MatchError):
    """Named weights could not be downloaded."""

    exit_code = 19


class CorruptWeightsError(S2MatchError):
    """A weights file cannot be loaded, or is not a LoFTR checkpoint."""

    exit_code = 20


class DeviceError(S2MatchError):
    """The device does not exist, or has no memory for the network."""

    exit_code = 21


class OutputError(S2MatchError):
    """A result cannot be written."""

    exit_code = 22


class PreparationError(S2MatchError):
    """A source of images to prepare cannot be used."""

    exit_code = 23


class MaskError(S2MatchError):
    """A mask or an area of interest cannot be read, or a mask does not overlap the images."""

    exit_code = 24


class TiePointError(S2MatchError):
    """A file of tie points cannot be read, or its points do not belong to the images."""

    exit_code = 25


class MissingExtraError(S2MatchError):
    """An optional library is not installed."""

    exit_code = 26


class CorrectionError(S2MatchError):
    """A file cannot be corrected with the model, or not as requested."""

    exit_code = 27


class ClusterError(S2MatchError):
    """A Dask cluster cannot be reached or used, or ended too early."""

    exit_code = 28


class ModelFileError(S2MatchError):
    """A file does not contain a model that can be applied."""

    exit_code = 29


class PairsFailedError(S2MatchError):
    """Pairs of a list could not be matched."""

    exit_code = 30


def sentence_of(error: Exception) -> str:
    """The sentence of an error for the user, whether it was foreseen or not."""
    if isinstance(error, S2MatchError):
        return str(error)
    text = " ".join(str(error).split()) or "no message"
    return f"Unexpected {type(error).__name__}: {text.rstrip('.')}."
