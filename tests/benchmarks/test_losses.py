"""The table of cases that another method wins."""

from dataclasses import replace

from benchmarks.losses import losses
from benchmarks.registration import REFINED, Outcome

WON = Outcome("pair", "shift", REFINED, True, "translation", 9, 0.5, [0.0, 0.0], 0.05, 0.08, 1.0)


def test_smaller_errors_of_other_methods_are_listed() -> None:
    other = replace(WON, method="SIFT", rmse_px=0.03)
    table = losses(
        [WON, other, replace(other, method="slow", rmse_px=0.046), replace(other, method="none", rmse_px=None)]
    )
    assert table.startswith("In 1 of 1 cases")
    assert table.splitlines()[4:] == ["| pair | shift | SIFT | 0.030 px | 0.050 px |"]
    # refined matches have no model
    lost = replace(WON, deformation="field", rmse_px=None)
    table = losses([WON, lost, replace(lost, method="SIFT", rmse_px=0.7)])
    assert table.splitlines()[4:] == ["| pair | field | SIFT | 0.700 px | – |"] and "In 1 of 2 cases" in table
    # the truth of these pairs is not known
    assert losses([replace(one, exact=False) for one in (WON, other)]).startswith("In 0 of 0 cases")
