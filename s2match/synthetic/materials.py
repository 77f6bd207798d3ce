"""Materials other than crops: colour over the year, height, and share of snow."""

# Rows of day of year, red, green, blue; interpolated between the days, periodic over the year.
Curve = tuple[tuple[int, int, int, int], ...]

# fmt: off
MATERIALS: dict[str, Curve] = {
    "conifer": ((1, 25, 40, 30), (150, 24, 43, 28)),
    "broadleaf": ((1, 60, 55, 45), (95, 58, 57, 44), (118, 46, 65, 36), (140, 32, 58, 28), (200, 28, 50, 28),
                  (265, 38, 53, 28), (290, 84, 68, 36), (318, 68, 57, 42)),
    "river": ((1, 40, 56, 52), (100, 44, 60, 54), (220, 30, 50, 46)),
    "lake": ((1, 20, 38, 46), (200, 18, 40, 42)),
    "garden": ((1, 64, 66, 50), (120, 54, 70, 44), (210, 62, 72, 48), (290, 66, 66, 46)),
    "margin": ((1, 92, 88, 64), (130, 76, 92, 56), (215, 108, 103, 72)),
    "track": ((1, 128, 114, 94), (200, 146, 130, 104)),
    "road": ((1, 116, 112, 106),),
    "motorway": ((1, 132, 128, 122),),
    "rail": ((1, 84, 76, 70),),
    "street": ((1, 104, 101, 97),),
    "yard": ((1, 126, 121, 113),),
    "red roof": ((1, 152, 100, 80),),
    "dark roof": ((1, 92, 84, 82),),
    "grey roof": ((1, 142, 138, 134),),
    "white roof": ((1, 224, 224, 222),),
}
# fmt: on

# Palette index of each material, from 65535 downwards; parcels count from 0 upwards.
INDEX = {name: 65535 - number for number, name in enumerate(MATERIALS)}
HEIGHT_M = {"conifer": 20, "broadleaf": 16, "red roof": 7, "dark roof": 8, "grey roof": 9, "white roof": 11}
# fmt: off
SNOW_SHARE = {
    "conifer": 0.12, "broadleaf": 0.3, "river": 0.0, "lake": 0.75, "garden": 0.75, "road": 0.25, "motorway": 0.1,
    "rail": 0.4, "street": 0.3, "yard": 0.5, "red roof": 0.7, "dark roof": 0.7, "grey roof": 0.6,
}
# fmt: on
