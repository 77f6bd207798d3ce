"""Series of images of one place: every date placed by all the others."""
