"""Kernels and packed layers for CPUs; a reader of the method may skip this wing."""
