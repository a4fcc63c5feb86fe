"""The mathematics of diffusion: no network, no picture, no file.

`diffuser` noises, `prediction` says what a network means, `steps` has a function per method, `samplers` the loop;
`guidance` and `illusions` wrap predictors, `constraints` hold what an inpainting keeps.
"""
