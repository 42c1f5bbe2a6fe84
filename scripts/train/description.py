"""What the models of this folder say about themselves (the metadata entry `lookout`)."""

import json

from dataset import LABELS

# what the daemon may report as one; a label of the network never belongs to itself
GROUPS = {"vehicle": ["car", "truck", "motorcycle"], "pet": ["cat", "dog"], "wildlife": ["bird", "deer", "animal"]}
BACKGROUND = ["nothing"]


def description(name: str, **more: object) -> str:
    """JSON. Thresholds of the events are added by evaluate.ts."""
    return json.dumps(
        {
            "name": name,
            "output": {"name": "probabilities", "kind": "probabilities"},
            "labels": list(LABELS),
            "background": BACKGROUND,
            "groups": GROUPS,
            "events": {label: {} for label in LABELS if label not in BACKGROUND},
            "licence": "Apache-2.0",
            **more,
        }
    )
