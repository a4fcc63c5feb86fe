"""The way of an upload, in its order: files, faces, masks, crop, blending."""
