"""What queueing theory says of one server with random arrivals, first come first served.

Times are in units of the server's mean service time, so an arrival rate is a utilisation.
"""

import math

from scipy.optimize import brentq


class MM1:
    """Exponential service times. The sojourn time is exponential, at a rate of 1 - utilisation.

    (Kleinrock, Queueing Systems, volume 1: Theory, Wiley 1975, chapters 3 and 5.)
    """

    name = "M/M/1"

    def __init__(self, utilisation: float) -> None:
        self.utilisation = utilisation

    def mean_wait(self) -> float:
        """Return the mean time from arrival to the start of service."""
        return self.utilisation / (1 - self.utilisation)

    def sojourn(self, share: float) -> float:
        """Return the time from arrival to completion that `share` of all requests keep."""
        return -math.log(1 - share) / (1 - self.utilisation)


class MD1:
    """Service times all alike.

    The mean wait is Pollaczek and Khinchine's. The distribution of the wait is Erlang's (Nyt Tidsskrift for
    Matematik B 20, 1909; for more servers Crommelin, Post Office Electrical Engineers' Journal 25, 1932; in
    today's notation Franx, Operations Research Letters 29, 2001):

        P(W <= t) = (1 - u) sum over j = 0 .. floor(t) of (u (j - t))^j / j! exp(-u (j - t))
    """

    name = "M/D/1"

    def __init__(self, utilisation: float) -> None:
        self.utilisation = utilisation

    def mean_wait(self) -> float:
        """Return the mean time from arrival to the start of service."""
        return self.utilisation / (2 * (1 - self.utilisation))

    def waits_no_longer(self, time: float) -> float:
        """Return the share of requests that wait no longer than a time.

        The terms alternate and grow as exp(u t): good to 1e-6 up to some 25 services at a utilisation of 0.9.
        """
        u = self.utilisation
        terms = [
            (u * (j - time)) ** j / math.factorial(j) * math.exp(u * (time - j))
            for j in range(math.floor(time) + 1)
        ]
        return (1 - u) * math.fsum(terms)

    def sojourn(self, share: float) -> float:
        """Return the time from arrival to completion that `share` of all requests keep."""
        if self.waits_no_longer(0.0) >= share:
            return 1.0
        return 1.0 + float(brentq(lambda time: self.waits_no_longer(time) - share, 0.0, 25.0))
