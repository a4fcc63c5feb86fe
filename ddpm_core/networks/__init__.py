"""The networks: codec and VAE, the UNet with its serpentine mixers, and kernels for inference on CPUs."""
