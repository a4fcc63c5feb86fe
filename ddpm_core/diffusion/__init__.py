"""The mathematics of diffusion: no network, no picture, no file.

`diffuser` noises, `prediction` says what a network means. `steps` has a function for each method (`ddim_step`,
`ddpm_step`, ...), `samplers` the one loop around them. `guidance` and `illusions` wrap predictors, `constraints` hold
what an inpainting keeps.
"""
