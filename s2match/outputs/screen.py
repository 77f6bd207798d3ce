"""Figures on a screen."""

from matplotlib.figure import Figure


def has_screen() -> bool:
    """Whether matplotlib can open windows on a screen."""
    import matplotlib.pyplot as plt

    try:
        figure = plt.figure()
    except ImportError:
        # the backend that MPLBACKEND names cannot run
        return False
    plt.close(figure)
    return getattr(figure.canvas, "required_interactive_framework", None) is not None


def screen_figure() -> Figure:
    """New figure that :func:`show_screen` shows."""
    import matplotlib.pyplot as plt

    return plt.figure(figsize=(13, 7.6), layout="constrained")


def show_screen() -> None:
    """Show all screen figures and wait until their windows are closed."""
    import matplotlib.pyplot as plt

    plt.show()
