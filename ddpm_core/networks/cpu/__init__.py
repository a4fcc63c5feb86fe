"""Compiled kernels and packed layers for inference on CPUs; a reader of the method may skip this wing."""
