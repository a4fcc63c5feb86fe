"""Looking inside a model: what the tab of that name shows, as functions that a notebook can call.

Each module answers one question about a picture (`subject.Subject`) and a `LatentDiffusion`; its request says what may
be asked, and a dataclass holds the answer, numbers and pictures. `remember` keeps what took long, `sheet` lays pictures
out with their labels.
"""
