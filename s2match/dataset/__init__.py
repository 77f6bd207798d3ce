"""The user's folder of images: listing, choosing, preparing."""
