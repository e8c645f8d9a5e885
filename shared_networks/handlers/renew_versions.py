"""New versions of the training cases in every epoch."""

from ignite.engine import Engine, Events

from shared_networks.data.random_versions import RandomVersions

__all__ = ["RenewVersions"]


class RenewVersions:
    """Let :class:`shared_networks.data.RandomVersions` hold the versions of an epoch when it starts.

    Args:
        versions: the training data set.
    """

    def __init__(self, versions: RandomVersions) -> None:
        self.versions = versions

    def attach(self, engine: Engine) -> None:
        """Attach to a trainer."""
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        self.versions.renew(engine.state.epoch)
