"""Confidence thresholds."""

from s2match.errors import OptionError

# Matches above this are worth a look, be they right or not.
WEAK_CONFIDENCE = 0.2


def check_confidence(confidence: float) -> None:
    """Refuse a confidence threshold outside 0 to 1.

    Raises:
        OptionError: It is.
    """
    if not 0 <= confidence <= 1:
        raise OptionError(f"Confidence {confidence:g} is out of range: it must be 0 to 1.")
