"""Training presets: what each changes against the defaults in `settings.py`. They say nothing of the data."""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    # Nearly what the shipped faces-128 was trained with before its last legs, put into one run: an evening on two CPU
    # cores, less on any GPU.
    "faces": {
        "views": 4,
        "vae": {
            "latent_channels": 8,
            "kl_weight": 1e-3,
            "batch_size": 4,
            "learning_rate": 6e-4,
            "iterations": 24_000,
            "edge_weight": 0.1,
            "texture_weight": 9.0,
        },
        "denoiser": {
            "batch_size": 32,
            # Narrow where there are many cells: as many parameters as 128, 256, 384 have cost half the time, and learn
            # more in equal time (docs/measurements.md).
            "channels": (64, 128, 544),
            "dropout": 0.0,  # faces there are as many as one likes
            "learning_rate": 5e-4,
            "iterations": 20_000,
            "ema_decay": 0.9995,
            # Of lognormal ones one in twenty-five is above 700, where it is decided whether a face holds together.
            "timesteps": "uniform",
            # So that fills take light and tone from what is kept.
            "clamp_share": 0.4,
            "clamp_timesteps": "uniform",
            "clamp_middle": 0.3,
            "clamp_recolour": 0.5,
        },
    },
    # Drawn portraits with words of each: 9.2 M parameters in all, 18 MB in half precision.
    "avatars": {
        "flips": False,  # drawings look one way
        "vae": {
            "latent_channels": 8,
            "kl_weight": 1e-3,
            "batch_size": 8,
            "learning_rate": 6e-4,
            "iterations": 12_000,
        },
        "denoiser": {
            "batch_size": 64,
            "channels": (64, 128, 256),
            "dropout": 0.0,
            "learning_rate": 7e-4,
            "iterations": 20_000,
            "ema_decay": 0.9995,
            "text_levels": 3,  # eyes and mouths are a cell or two of the finest
            "clamp_share": 0.2,
        },
    },
    # MNIST: pixels for latents, ten classes. The shipped digits had 3,000 iterations; these are over within 20 minutes.
    "digits": {
        "size": 32,
        "codec": "pixel",
        "flips": False,
        "sample_every": 250,
        "denoiser": {
            "batch_size": 64,
            "channels": (64, 96, 128),
            "blocks": 2,
            "mixer": "none",
            "dropout": 0.0,
            "learning_rate": 1e-3,
            "iterations": 2_400,
            "ema_decay": 0.998,
        },
    },
    # A few hundred pictures of one's own, and something to look at within the hour.
    "quick": {
        "views": 4,
        "vae": {"iterations": 2_000, "channels": (32, 64, 128), "full_width": 16},
        "denoiser": {"iterations": 4_000, "batch_size": 32, "channels": (96, 192, 256), "blocks": 1},
    },
    # Small enough to check that everything runs; the pictures are no good.
    "tiny": {
        "size": 32,
        "save_every": 50,
        "sample_every": 50,
        "vae": {"iterations": 50, "channels": (16, 32), "full_width": 8, "decoder_blocks": 1, "warmup": 10},
        "denoiser": {"iterations": 50, "channels": (32, 64), "blocks": 1, "warmup": 10},
    },
}
