"""Find how few of the worst layers have to stay in floating point. Pure: trials are the caller's."""

from collections.abc import Callable


def fewest_kept(layers: int, passes: Callable[[int], bool], failing: int = 0) -> int | None:
    """Return how many of `layers`, the worst first, must be kept in floating point; None if all do not do.

    Keeping `failing` of them is known to fail. Groups grow by 1, 2, 4, … beyond it until one passes; then the
    last step is bisected: k more take about 2 log2(k) trials. What lies under a number that failed is taken
    to fail too. An accuracy need not rise with every layer, so a smaller group might do, but this one was
    seen to pass.
    """
    if failing >= layers:
        return None
    fails, group, step = failing, failing + 1, 1
    while not passes(min(group, layers)):
        if group >= layers:
            return None
        step *= 2
        fails, group = group, failing + step
    passing = min(group, layers)
    while passing - fails > 1:
        middle = (fails + passing) // 2
        if passes(middle):
            passing = middle
        else:
            fails = middle
    return passing
