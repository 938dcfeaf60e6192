"""An answer as the benchmark sees it."""

SEEN = ((True, "1 5 300 2"), (False, ""), (False, ""), (False, ""))
CLASSES = {"classes": [{"class_id": k + 1, "present": p, "rle": r} for k, (p, r) in enumerate(SEEN)]}
