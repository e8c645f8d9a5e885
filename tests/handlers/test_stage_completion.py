"""A stage is run until it is complete, and then passed."""

import json

import pytest
from ignite.engine import Engine, Events

from shared_networks.errors import InputError
from shared_networks.handlers import StageCompletion


@pytest.fixture
def stage(tmp_path):
    """Function (settings, max_epochs, makes) -> (completion, number of epochs that its trainer ran)."""

    def run(settings, max_epochs=2, makes=True, stop_after=None):
        completion = StageCompletion(tmp_path / "done.json", tmp_path / "weights.pt", settings, max_epochs)
        trainer = Engine(lambda engine, batch: None)
        epochs = []

        def note(engine):
            epochs.append(engine.state.epoch)
            if makes:
                (tmp_path / "weights.pt").write_text("weights")
            if engine.state.epoch == stop_after:
                engine.terminate()

        trainer.add_event_handler(Events.EPOCH_COMPLETED, note)
        original = trainer.run
        trainer.run = lambda: original([0], max_epochs=max_epochs)
        completion.run(trainer)
        return completion, len(epochs)

    return run


def test_a_complete_stage_is_passed_and_other_settings_are_not(stage, tmp_path):
    settings = {"learning_rate": 1e-4, "patch_size": [1, 2, 3]}
    completion, epochs = stage(settings)
    assert (completion.was_complete, epochs) == (False, 2)
    assert json.loads((tmp_path / "done.json").read_text())["max_epochs"] == 2
    assert stage(dict(reversed(settings.items())))[1] == 0
    assert stage(settings, max_epochs=1)[1] == 0
    assert stage(settings, max_epochs=3)[1] == 3
    assert stage(settings | {"learning_rate": 2e-4})[1] == 2


def test_without_its_product_or_with_a_broken_marker_it_runs_again(stage, tmp_path):
    stage({})
    (tmp_path / "weights.pt").unlink()
    assert stage({})[1] == 2
    for text in ("{", "[]", "{}"):
        (tmp_path / "done.json").write_text(text)
        assert stage({})[1] == 2


def test_a_stage_that_was_stopped_is_not_complete(stage, tmp_path):
    assert stage({}, stop_after=1)[1] == 1
    assert not (tmp_path / "done.json").exists()


def test_a_stage_that_makes_nothing_says_why(stage):
    with pytest.raises(InputError, match="set its val_interval to at most its max_epochs"):
        stage({}, makes=False)
