"""Networks: codec and VAE, the UNet with its serpentine mixers, kernels for CPUs."""
