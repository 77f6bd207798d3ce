"""The shift of a pair and its interval in one short line."""

from s2match.registration.verdict import Decision, Verdict, components, length_text


def headline(verdict: Verdict) -> str:
    """The verdict and the shift in one line, such as "Shifted by 36 ± 1 m east and 24 ± 1 m north"."""
    displacement = verdict.displacement
    if verdict.model is None:
        return "Not enough evidence for a model"
    if displacement is None:
        return f"Matched by a model ({verdict.model}), with no georeference to compare it with"
    sizes, directions = components(displacement)
    shift = " and ".join(f"{size} {direction}" for size, direction in zip(sizes, directions, strict=True))
    if verdict.decision is Decision.REGISTER:
        return f"The target is shifted by {shift}"
    if verdict.decision is Decision.REGISTERED:
        rule = ", not significant at 1 %" if displacement.beyond_interval else ""
        return f"Already registered: shift of {shift}{rule}"
    noise = length_text(displacement, displacement.noise)
    if verdict.decision is Decision.INDISTINCT:
        return f"No shift can be told from the noise at this size: up to {noise}"
    return f"Not enough evidence: the shift may be up to {noise}"
