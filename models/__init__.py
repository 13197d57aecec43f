"""Deep autoregressive networks: from data to symbols, and back.

    data  ──▶  train  ──▶  bundle  ──▶  sampler  ──▶  symbols  ──▶  media

Needs torch, numpy and safetensors, nothing else.
"""

from ancestral.models.autoregressive import (
    Autoregressive,
    Conditions,
    Projection,
    TrainingLoss,
)
from ancestral.models.bundle import Bundle, load_bundle, save_bundle
from ancestral.models.darn import Darn
from ancestral.models.darn_config import DarnConfig
from ancestral.models.data import (
    Batch,
    Item,
    batches_in_order,
    normalise_loudness,
    prepare,
)
from ancestral.models.errors import (
    BundleError,
    ConditionError,
    ConfigError,
    DataError,
    ModelError,
    NativeMissing,
    NativeStale,
    ProgramError,
    SlotsFull,
)
from ancestral.models.families import FAMILIES, Family, build, config_of, find_family
from ancestral.models.gated_pixelcnn import GatedPixelCNN, GatedPixelCNNConfig
from ancestral.models.linear import LinearAR, LinearConfig
from ancestral.models.made import Made, MadeConfig
from ancestral.models.naive import NaiveSample, sample_naive
from ancestral.models.pixelcnn import PixelCNN, PixelCNNConfig
from ancestral.models.pixelcnn_autoencoder import PixelCNNAutoencoder, PixelCNNAutoencoderConfig
from ancestral.models.pixelcnn_pp import PixelCNNPlusPlus, PixelCNNPlusPlusConfig
from ancestral.models.sampling.draw import Settings
from ancestral.models.sampling.program import StepProgram
from ancestral.models.sampling.sampler import Sampler
from ancestral.models.sampling.samples import Sample, SampleRequest, SavedSample
from ancestral.models.scoring import Score, Scorer
from ancestral.models.symbols import from_media, to_media
from ancestral.models.train import TrainProgress, bits_per_dim, train
from ancestral.models.train_settings import TrainSettings
from ancestral.models.video_pixel import VideoPixel, VideoPixelConfig
from ancestral.models.visits import shuffled_batches
from ancestral.models.wavenet import WaveNet
from ancestral.models.wavenet_config import WaveNetConfig

__all__ = [
    "FAMILIES",
    "Autoregressive",
    "Batch",
    "Bundle",
    "BundleError",
    "ConditionError",
    "Conditions",
    "ConfigError",
    "Darn",
    "DarnConfig",
    "DataError",
    "Family",
    "GatedPixelCNN",
    "GatedPixelCNNConfig",
    "Item",
    "LinearAR",
    "LinearConfig",
    "Made",
    "MadeConfig",
    "ModelError",
    "NaiveSample",
    "NativeMissing",
    "NativeStale",
    "PixelCNN",
    "PixelCNNAutoencoder",
    "PixelCNNAutoencoderConfig",
    "PixelCNNConfig",
    "PixelCNNPlusPlus",
    "PixelCNNPlusPlusConfig",
    "ProgramError",
    "Projection",
    "Sample",
    "SampleRequest",
    "Sampler",
    "SavedSample",
    "Score",
    "Scorer",
    "Settings",
    "SlotsFull",
    "StepProgram",
    "TrainProgress",
    "TrainSettings",
    "TrainingLoss",
    "VideoPixel",
    "VideoPixelConfig",
    "WaveNet",
    "WaveNetConfig",
    "batches_in_order",
    "bits_per_dim",
    "build",
    "config_of",
    "find_family",
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
