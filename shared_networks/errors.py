"""The one error class that means "the input is wrong", as opposed to "the code is wrong"."""

__all__ = ["InputError"]


class InputError(ValueError):
    """Bad input from a user: the message is one line that says what is wrong and what to do.

    Library code raises it; whoever runs a batch catches it, reports the case and goes on.
    """
