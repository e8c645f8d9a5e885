"""Run as a program by the tests, in the Python that has MONAI Label: its inference and training tasks on a bundle.

``python label_tasks.py BUNDLE_FOLDER REQUESTS_JSON OUT_FOLDER`` answers each request into
``OUT_FOLDER/<number>.nii.gz`` and prints one JSON object with what the server would show of the model, and the JSON
part of every answer.
"""

import contextlib
import json
import os
import shutil
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"


class Datastore:
    """The part of MONAI Label's datastore that its training task asks for."""

    def __init__(self, items: list) -> None:
        self.items = items

    def datalist(self, full_path: bool = True) -> list:
        """Items with the paths of image and label."""
        return list(self.items)


def main(bundle: Path, settings: dict, out: Path) -> dict:
    """Answer the requests, then train when items are given."""
    from monailabel.tasks.infer.bundle import BundleInferTask

    task = BundleInferTask(str(bundle), {"preload": "false"})
    answer = {"valid": task.is_valid(), "labels": task.info()["labels"], "answers": []}
    for number, request in enumerate(settings["requests"]):
        fixed = {"model": bundle.name, "device": "cpu", "result_extension": ".nii.gz", "result_dtype": "float32"}
        if isinstance(request["image"], list):
            fixed["image_path"] = request["image"][0]
        result, described = task({**fixed, **request})
        shutil.move(result, out / f"{number}.nii.gz")
        answer["answers"].append({"label_names": described.get("label_names", {})})
    if settings.get("train"):
        from monailabel.tasks.train.bundle import BundleTrainTask

        trainer = BundleTrainTask(str(bundle), {})
        request = {"model": bundle.name, "device": "cpu", "max_epochs": 1, "val_split": 0.5, "multi_gpu": False}
        request |= {"tracking": "None", "pretrained": True}
        answer["trained"] = str(trainer(request, Datastore(settings["train"])))
    return answer


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        outcome = main(Path(sys.argv[1]), json.loads(sys.argv[2]), Path(sys.argv[3]))
    print(json.dumps(outcome))
