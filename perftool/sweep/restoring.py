"""Find how few of the worst layers have to stay in floating point. Pure: trials are the caller's."""

from collections.abc import Callable


def fewest_kept(layers: int, passes: Callable[[int], bool]) -> int | None:
    """Return how many of `layers`, the worst first, must be kept in floating point; None if all do not do.

    Keeping none is known to fail. Groups grow, 1, 2, 4, …, until one passes; then the last step is bisected:
    a number k takes about 2 log2(k) trials. What lies under a number that failed is taken to fail too. An
    accuracy need not rise with every layer, so a smaller group might do, but this one was seen to pass.
    """
    fails, group = 0, 1
    while not passes(min(group, layers)):
        if group >= layers:
            return None
        fails, group = group, 2 * group
    passing = min(group, layers)
    while passing - fails > 1:
        middle = (fails + passing) // 2
        if passes(middle):
            passing = middle
        else:
            fails = middle
    return passing
