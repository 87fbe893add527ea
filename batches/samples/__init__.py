"""Sample photos that the project renders itself, so that a first run needs no download and nobody's pictures."""

from batches.samples.photos import SamplePhoto, sample_photos

__all__ = ["SamplePhoto", "sample_photos"]
