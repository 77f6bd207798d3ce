"""Values that the stages hand to each other, and where pixels lie on the ground."""
