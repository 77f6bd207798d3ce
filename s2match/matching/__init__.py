"""Two images to matches: one pass, tiles, subpixel refinement."""
