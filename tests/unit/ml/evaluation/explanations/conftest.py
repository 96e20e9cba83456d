"""Models that cost next to nothing: the default network on a coarse log-mel, weights drawn at random."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ml.checkpoint import WEIGHTS_NAME, ModelCard, read_card, weights_sha256, write_card
from ml.evaluation.explanations.contenders import Contender, contenders_of
from ml.evaluation.explanations.examining import Examiner, Findings, Task
from ml.evaluation.explanations.material import ExplainedSet, explained_sets
from ml.evaluation.sounds import SoundsFolder
from ml.evaluation.suites.suite import Request
from ml.instruments import INSTRUMENTS
from ml.melspec import MelConfig
from ml.model import Model, load_model
from ml.networks.registry import build_network

LABELS = tuple(instrument.name for instrument in INSTRUMENTS)
COARSE = MelConfig(hop_samples=1024, n_mels=32)
LOUD_HEAD = 300.0  # makes logits of a few units, as a trained network's are
SEED, N_CLIPS = 11, 3


def write_model(folder: Path, seed: int) -> Path:
    """A model folder."""
    folder.mkdir()
    torch.manual_seed(seed)
    network = build_network("default", len(LABELS), COARSE.n_mels)
    with torch.no_grad():
        network.head.weight.mul_(LOUD_HEAD)
    save_file(network.state_dict(), folder / WEIGHTS_NAME)
    card = ModelCard(
        id=folder.name,
        network="default",
        labels=LABELS,
        thresholds=dict.fromkeys(LABELS, 0.5),
        mel=COARSE.to_dict(),
        sha256=weights_sha256(folder),
        dataset={},
        training={},
        metrics={},
        sounds=(),
    )
    write_card(card, folder)
    return folder


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "small", 1)


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "other", 2)


@pytest.fixture(scope="session")
def small_model(small: Path) -> Model:
    return load_model(small)


@pytest.fixture(scope="session")
def request_(small: Path, sounds: SoundsFolder) -> Request:
    return Request(card=read_card(small), n_clips=N_CLIPS, seed=SEED, sounds=sounds)


@pytest.fixture(scope="session")
def sets(request_: Request) -> tuple[ExplainedSet, ...]:
    return explained_sets(request_)


@pytest.fixture(scope="session")
def examiner(small: Path, other: Path) -> Examiner:
    contenders = contenders_of(("alpha2-beta1", "epsilon"))
    return Examiner((small, other), Contender("alpha2-beta1", "method"), contenders)


@pytest.fixture(scope="session")
def examined(examiner: Examiner, sets: tuple[ExplainedSet, ...]) -> Findings:
    return examiner(Task(sets[0].clips[0], "examined"))
