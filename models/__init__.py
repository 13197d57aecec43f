"""Deep autoregressive networks: from data to symbols, and back.

    data  ──▶  train  ──▶  bundle  ──▶  sampler  ──▶  symbols  ──▶  media

Needs torch, numpy and safetensors, nothing else.
"""

from ancestral.models.autoregressive import Autoregressive, Conditions, Projection
from ancestral.models.bundle import Bundle, load_bundle, save_bundle
from ancestral.models.data import (
    Batch,
    Item,
    batches_in_order,
    normalise_loudness,
    prepare,
    shuffled_batches,
)
from ancestral.models.errors import (
    BundleError,
    ConditionError,
    ConfigError,
    DataError,
    ModelError,
    ProgramError,
    SlotsFull,
)
from ancestral.models.families import FAMILIES, build, config_of
from ancestral.models.gated_pixelcnn import GatedPixelCNN, GatedPixelCNNConfig
from ancestral.models.naive import NaiveSample, sample_naive
from ancestral.models.sampling.draw import Settings
from ancestral.models.sampling.program import StepProgram
from ancestral.models.sampling.sampler import Sample, Sampler, SampleRequest
from ancestral.models.symbols import from_media, to_media
from ancestral.models.train import TrainProgress, TrainSettings, bits_per_dim, train
from ancestral.models.wavenet import WaveNet, WaveNetConfig

__all__ = [
    "FAMILIES",
    "Autoregressive",
    "Batch",
    "Bundle",
    "BundleError",
    "ConditionError",
    "Conditions",
    "ConfigError",
    "DataError",
    "GatedPixelCNN",
    "GatedPixelCNNConfig",
    "Item",
    "ModelError",
    "NaiveSample",
    "ProgramError",
    "Projection",
    "Sample",
    "SampleRequest",
    "Sampler",
    "Settings",
    "SlotsFull",
    "StepProgram",
    "TrainProgress",
    "TrainSettings",
    "WaveNet",
    "WaveNetConfig",
    "batches_in_order",
    "bits_per_dim",
    "build",
    "config_of",
    "from_media",
    "load_bundle",
    "normalise_loudness",
    "prepare",
    "sample_naive",
    "save_bundle",
    "shuffled_batches",
    "to_media",
    "train",
]
