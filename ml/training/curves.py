"""The curves of a training run as a picture: loss left, macro-F1 right."""

from __future__ import annotations

import io
from collections.abc import Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ml.training.state import EpochRecord


def curves_png(epochs: Sequence[EpochRecord]) -> bytes:
    """Draw loss and macro-F1 against the epoch.

    Parameters
    ----------
    epochs : sequence of EpochRecord

    Returns
    -------
    bytes
        A PNG.
    """
    numbers = [record.epoch for record in epochs]
    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    loss_axes, f1_axes = figure.subplots(1, 2)
    loss_axes.plot(
        numbers, [record.train_loss for record in epochs], marker="o", markersize=3, label="training"
    )
    loss_axes.plot(
        numbers, [record.validation_loss for record in epochs], marker="s", markersize=3, label="validation"
    )
    loss_axes.set(xlabel="epoch", ylabel="loss (cross-entropy)", title="Loss", yscale="log")
    loss_axes.legend()
    f1_axes.plot(numbers, [record.macro_f1 for record in epochs], marker="s", markersize=3, color="tab:green")
    f1_axes.set(
        xlabel="epoch", ylabel="macro-F1", title="Validation macro-F1 at probability 0.5", ylim=(0.0, 1.02)
    )
    for axes in (loss_axes, f1_axes):
        axes.grid(alpha=0.3)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    FigureCanvasAgg(figure)
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()
