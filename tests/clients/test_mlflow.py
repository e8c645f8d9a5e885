"""``--tracking mlflow``: what a training of each bundle leaves in MLflow. Skipped without the package."""

import numpy as np
import pytest
from monai.bundle import run

from tests.clients.pair_folder import write_pair_folder

pytest.importorskip("mlflow", reason="mlflow is not installed")

TINY = {"max_epochs": 2, "iterations_per_epoch": 1, "batch_size": 1, "val_interval": 1, "device": "cpu"}


def logged(output):
    """The one run in the database that MONAI makes below the output folder, and the names of its artefacts."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{output.as_posix()}/mlruns.db")
    (experiment,) = [item for item in client.search_experiments() if item.name == "monai_experiment"]
    (found,) = client.search_runs([experiment.experiment_id])
    return client, found, [item.path for item in client.list_artifacts(found.info.run_id)]


@pytest.mark.parametrize("name", ["gesenet", "rmr"])
def test_metrics_losses_and_the_executed_config_are_tracked(name, request, tmp_path, write_rmr_case):
    bundle = request.getfixturevalue(f"{name}_bundle")
    output = tmp_path / "eval"
    if name == "gesenet":
        files, metric = "train.json", "val_relative_score"
        keys = {"dataset_dir": str(write_pair_folder(tmp_path / "data"))}
        keys |= {"validation_cases": {}, "patch_size": [48, 48], "beta": 0.0}
    else:
        for number, part in enumerate(("training", "validation")):
            write_rmr_case(tmp_path / "data" / part / f"s{number}", number)
        files, metric = "train_autoencoder.json", "val_PSNR"
        keys = {"dataset_dir": str(tmp_path / "data"), "patch_size": [14, 14, 7], "validation_size": [14, 14, 14]}
    run(
        "training",
        config_file=str(bundle / "configs" / files),
        bundle_root=str(bundle),
        ckpt_dir=str(tmp_path / "trained"),
        # MONAI appends the name of its file to the text of this key: it must be an expression.
        output_dir=f"$'{output.as_posix()}'",
        tracking="mlflow",
        logging_file=False,
        **TINY,
        **keys,
    )
    client, found, artefacts = logged(output)
    assert found.info.status == "FINISHED"
    assert found.data.params["max_epochs"] == "2"
    values = [entry.value for entry in client.get_metric_history(found.info.run_id, metric)]
    assert len(values) == 2
    assert np.isfinite(values).all()
    losses = {entry.step for entry in client.get_metric_history(found.info.run_id, "train_loss")}
    assert losses == {1, 2}
    assert len(artefacts) == 1
    assert artefacts[0].startswith("config_")
