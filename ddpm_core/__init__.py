"""Latent diffusion you can hold in your head: codec, serpentine UNet, diffuser, samplers, trainer."""
