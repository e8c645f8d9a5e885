"""A batch of volumes takes no more memory than its largest one."""

from ignite.engine import Engine, Events

from shared_networks.utils.memory import return_freed_memory


class ReturnMemory:
    """Give freed memory back to the system before every case: those before had other sizes, and left gaps.

    Inside a case memory is kept, see :func:`shared_networks.utils.memory.keep_freed_memory`.
    """

    def attach(self, engine: Engine) -> None:
        """Attach to an evaluator."""
        engine.add_event_handler(Events.ITERATION_STARTED, return_freed_memory)
