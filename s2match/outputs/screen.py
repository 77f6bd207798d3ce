"""Show figures on a screen, where there is one."""

from matplotlib.figure import Figure


def has_screen() -> bool:
    """Whether matplotlib finds a screen to open windows on."""
    import matplotlib.pyplot as plt

    try:
        figure = plt.figure()
    except ImportError:
        # the backend that the environment asks for cannot run here
        return False
    plt.close(figure)
    return getattr(figure.canvas, "required_interactive_framework", None) is not None


def screen_figure() -> Figure:
    """A new figure that :func:`show_screen` will show."""
    import matplotlib.pyplot as plt

    return plt.figure(figsize=(13, 7.6), layout="constrained")


def show_screen() -> None:
    """Show all screen figures, until their windows are closed."""
    import matplotlib.pyplot as plt

    plt.show()
