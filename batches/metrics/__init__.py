"""``/metrics``: what the whole system does, in Prometheus' words.

One address tells of all processes: workers and the dispatcher write their figures into the ledger every few seconds,
and whichever web process is asked reads them there. Counters carry the process they come from, since each begins
anew with it; ``sum without (process) (rate(...))`` is what one looks at.
"""
