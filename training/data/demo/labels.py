"""The ten classes of the demo data set."""

LABELS: tuple[str, ...] = (
    "drone",
    "shopping cart",
    "traffic",
    "train",
    "boat",
    "fountain",
    "drill",
    "razor",
    "hair dryer",
    "vacuum cleaner",
)
